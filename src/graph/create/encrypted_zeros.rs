//! Zeros that read as zeros, where preallocation of an encrypted image leaves zeros that read as garbage.

use super::Prepared;
use crate::base::{GuestOffset, Result};
use crate::graph::open::{self, ImageArgument, OpenFlags};
use crate::graph::{Environment, OptionTree};

/// Bytes written in one go.
const CHUNK: usize = 2 << 20;

/// Writes zeros to all that the new image has stored; what it has not stored reads as zeros anyway.
pub(super) fn write(prepared: &Prepared, environment: &Environment) -> Result<()> {
    let mut options = OptionTree::default();
    for name in ["key-secret", "encrypt.key-secret"] {
        if let Some(value) = prepared.options.lookup(name) {
            options.set(name, value.clone());
        }
    }
    if let Some(header) = &prepared.header_path {
        options.set("header.filename", header.as_str());
    }
    let image = ImageArgument::Created {
        name: prepared.filename.clone(),
        format: prepared.format.clone(),
        options,
    };
    let flags = OpenFlags {
        writable: true,
        no_backing: true,
        ..OpenFlags::default()
    };
    let node = open::open(&image, flags, environment)?;
    let zeros = vec![0; CHUNK];
    let end = node.length()?;
    let mut offset = 0;
    while offset < end {
        let extent = node.extent(GuestOffset::new(offset), end - offset)?;
        let behind = offset.saturating_add(extent.length.max(1)).min(end);
        if extent.data {
            for start in (offset..behind).step_by(CHUNK) {
                let length = usize::try_from(behind - start).unwrap_or(CHUNK).min(CHUNK);
                node.write_at(GuestOffset::new(start), &zeros[..length])?;
            }
        }
        offset = behind;
    }
    node.flush()?;
    node.close()
}
