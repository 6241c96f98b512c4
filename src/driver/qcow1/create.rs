//! A new image, byte for byte like the real tool's (qcow1 §8).

use crate::base::{Error, HostOffset, Result};
use crate::crypto::secret::Secret;
use crate::format::qcow1::CreateLayout;
use crate::node::{HostFile, Preallocation};

/// What to create.
#[derive(Clone, Debug, Default)]
pub struct Qcow1CreateOptions {
    /// Virtual size in bytes, rounded up to 512.
    pub size: u64,
    /// The backing file's name as it shall be stored.
    pub backing: Option<String>,
    /// Encrypt with legacy AES.
    pub encrypted: bool,
    /// The passphrase. Nothing of it is stored; it must only be there.
    pub key: Option<Secret>,
}

/// Writes a new image into `file`, replacing what was there.
pub fn create(file: &HostFile, options: &Qcow1CreateOptions) -> Result<()> {
    let layout = CreateLayout::new(options.size, options.backing.as_deref(), options.encrypted)?;
    if options.encrypted && options.key.is_none() {
        return Err(Error::key(
            "Parameter 'encrypt.key-secret' is required for cipher",
        ));
    }
    file.resize(0, Preallocation::Off)?;
    file.write_at(HostOffset::ZERO, &layout.head)
        .and_then(|()| write_empty_table(file, layout.head.len() as u64, layout.file_length))
        .and_then(|()| file.resize(layout.file_length, Preallocation::Off))
        .map_err(|error| error.prefixed("Could not create image: "))
}

/// As in the real tool's files, the first table's zeros are written; not those of disks of many TiB.
fn write_empty_table(file: &HostFile, start: u64, end: u64) -> Result<()> {
    const WRITTEN_MAX: u64 = 16 << 20;
    let length = end.saturating_sub(start);
    if length > WRITTEN_MAX {
        return Ok(());
    }
    let zeros = vec![0; usize::try_from(length).unwrap_or(0)];
    file.write_at(HostOffset::new(start), &zeros)
}
