//! The node over one host file.

use std::os::unix::fs::FileExt;
use std::sync::atomic::AtomicBool;

use parking_lot::{Mutex, RwLock};

use super::{FileOptions, Locking, direct};
use crate::base::error::errno;
use crate::base::{Error, GuestOffset, Result};
use crate::node::progress::{count_file_request, count_table};
use crate::node::{
    Access, DebugEvent, Extent, ImageInfo, Node, Permissions, Preallocation, ZeroFlags,
};

/// A host file or block device.
#[derive(Debug)]
pub struct File {
    pub(super) handle: std::fs::File,
    pub(super) filename: String,
    pub(super) options: FileOptions,
    pub(super) regular: bool,
    pub(super) locks: Mutex<Access>,
    /// The file system answered once that it can't zero ranges: it is not asked again.
    pub(super) no_zero_range: AtomicBool,
    /// Held exclusively by what sets the length from a length that it read, and by what reads a block to write a part
    /// of it; shared by all other writes. Else one of two would undo what the other wrote.
    pub(super) content: RwLock<()>,
}

/// QEMU: no request reaches past 2^63 - 2^30 (observed with an L1 table just below and at it).
const MAX_FILE_END: u64 = (1 << 63) - (1 << 30);

impl File {
    /// Takes the locks for `wanted` in place of what was held; on failure that is held still.
    fn lock(&self, wanted: Access) -> Result<()> {
        if self.options.locking == Locking::Off {
            return Ok(());
        }
        let mut held = self.locks.lock();
        if *held != wanted {
            super::locks::change(&self.handle, &self.filename, *held, wanted)?;
            *held = wanted;
        }
        Ok(())
    }

    /// Runs `work` with more locks than before, and gives those back.
    fn with_locks<T>(&self, more: Access, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let before = *self.locks.lock();
        self.lock(Access {
            used: before.used | more.used,
            unshared: before.unshared | more.unshared,
        })?;
        let outcome = work();
        self.lock(before)?;
        outcome
    }

    /// The file itself, for the modules that know more system calls.
    pub(super) const fn host(&self) -> &std::fs::File {
        &self.handle
    }

    pub(super) fn current_length(&self) -> Result<u64> {
        if self.regular {
            return Ok(self.handle.metadata()?.len());
        }
        // A device has no length in its inode; where its end is, a seek tells. Character devices can't seek.
        Ok(rustix::fs::seek(&self.handle, rustix::fs::SeekFrom::End(0)).unwrap_or(0))
    }

    fn check_range(offset: GuestOffset, length: u64) -> Result<GuestOffset> {
        let end = offset.plus(length)?;
        if end.bytes() > MAX_FILE_END {
            return Err(Error::bare(errno::EIO));
        }
        Ok(end)
    }

    fn check_writable(&self) -> Result<()> {
        if self.options.writable {
            Ok(())
        } else {
            Err(Error::bare(errno::EPERM))
        }
    }

    fn after_write(&self) -> Result<()> {
        if self.options.flush_writes {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Writes zero bytes where nothing cheaper works.
    fn write_zero_bytes(&self, mut offset: GuestOffset, mut length: u64) -> Result<()> {
        let zeros = vec![0_u8; usize::try_from(length.min(1 << 20)).unwrap_or(1 << 20)];
        while length > 0 {
            let step = length.min(zeros.len() as u64);
            let piece = usize::try_from(step).unwrap_or(zeros.len());
            self.write_bytes(offset, &zeros[..piece])?;
            offset = offset.plus(step)?;
            length -= step;
        }
        Ok(())
    }

    fn write_bytes(&self, offset: GuestOffset, data: &[u8]) -> Result<()> {
        if self.options.direct && !direct::whole_blocks(offset.bytes(), data.len()) {
            let _alone = self.content.write();
            return direct::write(&self.handle, self.current_length()?, offset.bytes(), data);
        }
        let _shared = self.content.read();
        if self.options.direct {
            direct::write_whole_blocks(&self.handle, offset.bytes(), data)
        } else {
            Ok(self.handle.write_all_at(data, offset.bytes())?)
        }
    }
}

impl Node for File {
    fn driver(&self) -> &'static str {
        if self.is_device() {
            "host_device"
        } else {
            "file"
        }
    }

    fn filename(&self) -> String {
        self.filename.clone()
    }

    fn writable(&self) -> bool {
        self.options.writable
    }

    /// In whole sectors, as the real tools count it; the bytes past the real end read as zeros.
    fn length(&self) -> Result<u64> {
        Ok(self.current_length()?.next_multiple_of(512))
    }

    fn read_at(&self, offset: GuestOffset, buffer: &mut [u8]) -> Result<()> {
        count_file_request();
        Self::check_range(offset, buffer.len() as u64)?;
        if self.options.direct {
            return direct::read(&self.handle, offset.bytes(), buffer);
        }
        let mut done = 0;
        while done < buffer.len() {
            let position = offset.bytes() + done as u64;
            match self.handle.read_at(&mut buffer[done..], position) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        buffer[done..].fill(0);
        Ok(())
    }

    fn write_at(&self, offset: GuestOffset, data: &[u8]) -> Result<()> {
        self.check_writable()?;
        Self::check_range(offset, data.len() as u64)?;
        self.write_bytes(offset, data)?;
        self.after_write()
    }

    fn write_zeroes(&self, offset: GuestOffset, length: u64, flags: ZeroFlags) -> Result<()> {
        self.check_writable()?;
        Self::check_range(offset, length)?;
        if length == 0 {
            return Ok(());
        }
        let may_unmap = flags.contains(ZeroFlags::MAY_UNMAP) && self.options.discard;
        if !self.zero_range(offset, length, may_unmap)? {
            if flags.contains(ZeroFlags::NO_FALLBACK) {
                return Err(Error::bare(errno::ENOTSUP));
            }
            self.write_zero_bytes(offset, length)?;
        }
        self.after_write()
    }

    fn discard(&self, offset: GuestOffset, length: u64) -> Result<()> {
        self.check_writable()?;
        count_file_request();
        if !self.options.discard {
            return Ok(());
        }
        let end = Self::check_range(offset, length)?
            .bytes()
            .min(self.current_length()?);
        let inside = end.saturating_sub(offset.bytes());
        if inside > 0 {
            self.punch_hole(offset, inside)?;
            return self.after_write();
        }
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        if self.options.writable && !self.options.no_flush {
            self.handle.sync_data()?;
        }
        Ok(())
    }

    fn resize(&self, length: u64, preallocation: Preallocation) -> Result<()> {
        if !self.options.writable {
            return Err(Error::caller("Image is read-only").with_errno(errno::EACCES));
        }
        let more = Access {
            used: Permissions::RESIZE,
            ..Access::default()
        };
        self.with_locks(more, || {
            let _alone = self.content.write();
            self.set_length(length, preallocation)
        })
    }

    fn extent(&self, offset: GuestOffset, length: u64) -> Result<Extent> {
        self.host_extent(offset, length)
    }

    fn info(&self) -> Result<ImageInfo> {
        Ok(ImageInfo {
            specific: Some(("file", serde_json::Map::new())),
            ..ImageInfo::default()
        })
    }

    fn allocated_bytes(&self) -> Option<u64> {
        use std::os::unix::fs::MetadataExt;
        let blocks = self.handle.metadata().ok()?.blocks();
        // st_blocks counts 512-byte units whatever the file system's block size.
        blocks.checked_mul(512)
    }

    fn debug_event(&self, event: DebugEvent) {
        if event == DebugEvent::L2Load {
            count_table();
        }
    }

    fn set_access(&self, access: Access) -> Result<()> {
        self.lock(access)
    }

    fn close(&self) -> Result<()> {
        let flushed = self.flush();
        self.lock(Access::default())?;
        flushed
    }
}
