//! `-s`: writes go to a temporary qcow2 image that nobody else sees. `-C`: what is read from below is kept.

use std::path::PathBuf;
use std::sync::Arc;

use crate::base::error::errno;
use crate::base::{Error, GuestOffset, Result};
use crate::driver::file::{File, FileOptions};
use crate::driver::qcow2::create::{Qcow2CreateOptions, create};
use crate::driver::qcow2::{Qcow2, Qcow2OpenOptions};
use crate::node::{HostFile, Node, SharedNode, ZeroFlags};

/// Where temporary images lie.
pub(super) fn directory() -> PathBuf {
    std::env::var_os("TMPDIR")
        .filter(|directory| !directory.is_empty())
        .map_or_else(|| PathBuf::from("/var/tmp"), PathBuf::from)
}

/// An empty image on top of `base`. Its file has no name any more.
pub(super) fn temporary(base: SharedNode) -> Result<SharedNode> {
    let directory = directory();
    let named = tempfile::Builder::new()
        .prefix("vl.")
        .tempfile_in(&directory);
    let named = named.map_err(|error| {
        // It is wrapped together with the path.
        let cause = error.get_ref().and_then(|error| error.source());
        let cause = cause.and_then(|error| error.downcast_ref::<std::io::Error>());
        let error = cause.unwrap_or(&error);
        let error = Error::bare(error.raw_os_error().unwrap_or(errno::EIO));
        error.prefixed(format!(
            "Could not open temporary file '{}/vl.XXXXXX': ",
            directory.display()
        ))
    })?;
    let options = FileOptions {
        writable: true,
        no_flush: true,
        ..FileOptions::default()
    };
    let file = File::open(&named.path().to_string_lossy(), options)?;
    let file = HostFile::new(Arc::new(file));
    let size = base.length()?.next_multiple_of(512);
    let request = Qcow2CreateOptions {
        size,
        ..Qcow2CreateOptions::default()
    };
    create(&file, &request, &|| Err(Error::eio()))?;
    let open = Qcow2OpenOptions {
        writable: true,
        ..Qcow2OpenOptions::default()
    };
    let image = Qcow2::open(file, &open)?;
    image.set_backing(Some(base))?;
    Ok(image)
}

/// Copies what `offset..offset+length` reads from below into `node`, by whole clusters.
pub(super) fn keep(node: &dyn Node, offset: u64, length: u64) -> Result<()> {
    /// Bytes copied at once.
    const CHUNK: u64 = 1 << 20;
    // Without a backing file too: what is read as zeros is stored as zeros.
    if length == 0 {
        return Ok(());
    }
    let cluster = node.info()?.cluster_size.unwrap_or(512);
    let end = (offset + length)
        .next_multiple_of(cluster)
        .min(node.length()?);
    let mut place = offset - offset % cluster;
    let mut buffer = Vec::new();
    while place < end {
        let guest = GuestOffset::new(place);
        let extent = node.extent(guest, (end - place).min(CHUNK))?;
        if !extent.allocated {
            buffer.clear();
            buffer.resize(usize::try_from(extent.length).map_err(|_| Error::eio())?, 0);
            node.read_at(guest, &mut buffer)?;
            if buffer.iter().all(|byte| *byte == 0) {
                node.write_zeroes(guest, extent.length, ZeroFlags::MAY_UNMAP)?;
            } else {
                node.write_at_in_place(guest, &mut buffer)?;
            }
        }
        place += extent.length.max(1);
    }
    Ok(())
}
