//! Opening a host file.

use std::fs::OpenOptions;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

use nix::libc;
use parking_lot::Mutex;
use rustix::fs::SeekFrom;

use super::File;
use crate::base::{Error, Result};
use crate::node::Access;

/// `locking=`: whether other processes are kept out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Locking {
    /// Locks are taken where the host has them.
    #[default]
    Auto,
    /// Locks are taken.
    On,
    /// No locks.
    Off,
}

/// How a host file is opened.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of the command line"
)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileOptions {
    /// Read and write.
    pub writable: bool,
    /// Made when missing.
    pub create: bool,
    /// With `create`: must be new, and is nobody else's to read.
    pub private: bool,
    /// Bypass the page cache (`cache.direct`).
    pub direct: bool,
    /// Flushes do nothing (`cache.no-flush`).
    pub no_flush: bool,
    /// Every write is flushed (`cache=writethrough`).
    pub flush_writes: bool,
    /// Discards punch holes.
    pub discard: bool,
    /// Whether locks are taken.
    pub locking: Locking,
}

impl File {
    /// True for block and character devices.
    pub const fn is_device(&self) -> bool {
        !self.regular
    }

    /// Asks the file system not to copy this file's blocks on writes, where it knows how (btrfs). Best before anything
    /// is in the file.
    pub fn set_no_copy_on_write(&self) {
        if let Ok(flags) = rustix::fs::ioctl_getflags(&self.handle) {
            // Other file systems refuse; there is nothing to turn off in them.
            let _ = rustix::fs::ioctl_setflags(&self.handle, flags | rustix::fs::IFlags::NOCOW);
        }
    }

    /// Opens a host file. No lock is taken yet: [`crate::node::Node::set_access`].
    pub fn open(filename: &str, options: FileOptions) -> Result<Self> {
        if filename.is_empty() {
            return Err(Error::caller(
                "The 'file' block driver requires a file name",
            ));
        }
        let file = Self::open_or_create(filename, options)
            .map_err(|error| error.prefixed_when_bare(format!("Could not open '{filename}': ")))?;
        // Files that the kernel makes up have no end that could be found.
        if file.regular
            && let Err(error) = rustix::fs::seek(&file.handle, SeekFrom::End(0))
        {
            return Err(Error::bare(error.raw_os_error())
                .prefixed("Could not refresh total sector count: "));
        }
        Ok(file)
    }

    /// Like [`File::open`], for callers with words of their own for a failed system call.
    pub fn open_or_create(filename: &str, options: FileOptions) -> Result<Self> {
        let handle = OpenOptions::new()
            .read(true)
            .write(options.writable)
            .create(options.create)
            .create_new(options.create && options.private)
            .custom_flags(if options.direct { libc::O_DIRECT } else { 0 })
            .mode(if options.private { 0o600 } else { 0o644 })
            .open(filename)?;
        let kind = handle.metadata()?.file_type();
        if !(kind.is_file() || kind.is_block_device() || kind.is_char_device()) {
            return Err(Error::caller(format!(
                "'file' driver requires '{filename}' to be a regular file"
            )));
        }
        Ok(Self {
            handle,
            filename: filename.to_owned(),
            options,
            regular: kind.is_file(),
            locks: Mutex::new(Access::default()),
            no_zero_range: std::sync::atomic::AtomicBool::new(false),
            content: parking_lot::RwLock::new(()),
        })
    }
}
