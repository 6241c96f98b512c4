//! Space of a host file: holes, zero ranges, where data lies, reserving.

use std::os::unix::fs::{FileExt, FileTypeExt};
use std::sync::atomic::Ordering;

use rustix::fs::{FallocateFlags, SeekFrom, fallocate, seek};
use rustix::io::Errno;

use super::File;
use crate::base::error::errno;
use crate::base::{Error, GuestOffset, HostOffset, Result};
use crate::node::{Extent, Preallocation};

/// Bytes at the start of a file that are written when it grows from nothing.
const WRITTEN_HEAD: usize = 4096;

fn unsupported(error: Errno) -> bool {
    matches!(
        error,
        Errno::OPNOTSUPP | Errno::NOSYS | Errno::NODEV | Errno::NOTTY | Errno::INVAL
    )
}

impl File {
    /// Gives a range back to the file system; without holes nothing happens.
    pub(super) fn punch_hole(&self, offset: GuestOffset, length: u64) -> Result<()> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let _shared = self.content.read();
        match fallocate(self.host(), flags, offset.bytes(), length) {
            Ok(()) => Ok(()),
            Err(error) if unsupported(error) => Ok(()),
            Err(error) => Err(Error::bare(error.raw_os_error())),
        }
    }

    /// Makes a range read as zeros without writing it; false when the file system can't.
    pub(super) fn zero_range(
        &self,
        offset: GuestOffset,
        length: u64,
        may_unmap: bool,
    ) -> Result<bool> {
        let end = offset.plus(length)?.bytes();
        if self.regular && end > self.current_length()? {
            let _alone = self.content.write();
            // Others may have made the file longer: the length that counts is read again.
            self.zero_range_of(offset, length, may_unmap, self.current_length()?)
        } else {
            let _shared = self.content.read();
            self.zero_range_of(offset, length, may_unmap, end)
        }
    }

    /// `file_length` may be any number from `offset + length` on when the range is inside the file.
    fn zero_range_of(
        &self,
        offset: GuestOffset,
        length: u64,
        may_unmap: bool,
        file_length: u64,
    ) -> Result<bool> {
        let end = offset.plus(length)?.bytes();
        if may_unmap {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            if fallocate(self.host(), flags, offset.bytes(), length).is_ok() {
                if self.regular && end > file_length {
                    self.host().set_len(end)?;
                }
                return Ok(true);
            }
        }
        if !self.no_zero_range.load(Ordering::Relaxed) {
            let flags = FallocateFlags::ZERO_RANGE;
            match fallocate(self.host(), flags, offset.bytes(), length) {
                Ok(()) => return Ok(true),
                Err(error) if unsupported(error) => {
                    self.no_zero_range.store(true, Ordering::Relaxed);
                }
                Err(error) => return Err(Error::bare(error.raw_os_error())),
            }
        }
        if self.zero_by_hole(offset, length)? {
            return Ok(true);
        }
        // Everything behind the end is zero already: where zeroing fails, the length can change alone.
        let behind_end = self.regular && offset.bytes() >= file_length;
        if behind_end {
            self.host().set_len(end)?;
        }
        Ok(behind_end)
    }

    /// A hole, then space for it again: for file systems that know nothing better (tmpfs), as the real tool does. False
    /// when this one can't do that either.
    fn zero_by_hole(&self, offset: GuestOffset, length: u64) -> Result<bool> {
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        for flags in [hole, FallocateFlags::empty()] {
            match fallocate(self.host(), flags, offset.bytes(), length) {
                Ok(()) => {}
                Err(error) if unsupported(error) => return Ok(false),
                Err(error) => return Err(Error::bare(error.raw_os_error())),
            }
        }
        Ok(true)
    }

    pub(super) fn host_extent(&self, offset: GuestOffset, length: u64) -> Result<Extent> {
        let start = offset.bytes();
        let file_length = self.current_length()?;
        let length = length.min(file_length.saturating_sub(start));
        if length == 0 {
            return Ok(Extent::default());
        }
        let data = |length: u64| Extent {
            length,
            data: true,
            allocated: true,
            host: Some(HostOffset::new(start)),
            ..Extent::default()
        };
        let hole = |length: u64| Extent {
            length,
            zero: true,
            allocated: true,
            host: Some(HostOffset::new(start)),
            ..Extent::default()
        };
        match seek(self.host(), SeekFrom::Data(start)) {
            Ok(next) if next > start => Ok(hole((next - start).min(length))),
            Ok(_) => match seek(self.host(), SeekFrom::Hole(start)) {
                Ok(next) if next > start => Ok(data((next - start).min(length))),
                _ => Ok(data(length)),
            },
            // No data from here to the end.
            Err(Errno::NXIO) => Ok(hole(length)),
            Err(_) => Ok(data(length)),
        }
    }

    /// Sets the length; new space is reserved as `preallocation` says.
    pub(super) fn set_length(&self, length: u64, preallocation: Preallocation) -> Result<()> {
        let before = self.current_length()?;
        if !self.regular {
            return self.set_device_length(before, length, preallocation);
        }
        if preallocation != Preallocation::Off && length < before {
            return Err(Error::caller(
                "Cannot use preallocation for shrinking files",
            ));
        }
        if i64::try_from(length).is_err() {
            return Err(Error::bare(errno::EFBIG).prefixed("Could not resize file: "));
        }
        let outcome = match preallocation {
            Preallocation::Metadata => {
                return Err(Error::unsupported(
                    "Unsupported preallocation mode: metadata",
                ));
            }
            Preallocation::Off => self
                .host()
                .set_len(length)
                .map_err(|error| Error::from(error).prefixed("Could not resize file: "))
                .map(|()| {
                    if before == 0 {
                        self.write_head(length);
                    }
                }),
            Preallocation::Falloc => self.reserve(before, length),
            Preallocation::Full => self.fill(before, length),
        };
        if outcome.is_err() && preallocation != Preallocation::Off {
            // What was reserved in vain is given back.
            let _ = self.host().set_len(before);
        }
        outcome
    }

    /// The start of a file that was empty is written, not left as a hole: what the real tools do so that the alignment
    /// of direct I/O can be found out later. Where it can't be, nothing is lost.
    fn write_head(&self, length: u64) {
        let zeros = [0; WRITTEN_HEAD];
        let head = usize::try_from(length)
            .unwrap_or(WRITTEN_HEAD)
            .min(WRITTEN_HEAD);
        let _ = self.host().write_all_at(&zeros[..head], 0);
    }

    fn reserve(&self, before: u64, length: u64) -> Result<()> {
        if length == before {
            return Ok(());
        }
        fallocate(
            self.host(),
            FallocateFlags::empty(),
            before,
            length - before,
        )
        .map_err(|error| {
            Error::bare(error.raw_os_error()).prefixed("Could not preallocate new data: ")
        })
    }

    fn fill(&self, before: u64, length: u64) -> Result<()> {
        let words = |error: std::io::Error| {
            Error::from(error).prefixed("Could not write zeros for preallocation: ")
        };
        self.host()
            .set_len(length)
            .map_err(|error| Error::from(error).prefixed("Could not resize file: "))?;
        let zeros = vec![0_u8; 1 << 16];
        let mut position = before;
        while position < length {
            let step = (length - position).min(1 << 16);
            let piece = usize::try_from(step).unwrap_or(zeros.len());
            self.host()
                .write_all_at(&zeros[..piece], position)
                .map_err(words)?;
            position += step;
        }
        self.host()
            .sync_all()
            .map_err(|error| Error::from(error).prefixed("Could not flush file to disk: "))
    }

    /// A device has the length it has.
    fn set_device_length(
        &self,
        before: u64,
        length: u64,
        preallocation: Preallocation,
    ) -> Result<()> {
        if preallocation != Preallocation::Off {
            return Err(Error::unsupported(
                "Preallocation mode is not supported for non-regular files",
            ));
        }
        if length > before {
            let kind = self.host().metadata()?.file_type();
            let resized = kind.is_char_device() && !self.options.create;
            return Err(Error::caller(if resized {
                "Cannot resize device files"
            } else {
                "Cannot grow device files"
            }));
        }
        Ok(())
    }
}
