//! A file in memory: for tests, fuzzing and dry runs.

use parking_lot::RwLock;

use crate::base::error::errno;
use crate::base::{Error, GuestOffset, HostOffset, Result};
use crate::node::{Extent, Node, Preallocation, ZeroFlags};

/// Bytes in memory that behave like a growable file.
pub struct Memory {
    bytes: RwLock<Vec<u8>>,
    /// A write that would make the file longer than this fails with ENOSPC.
    cap: u64,
}

impl Memory {
    /// A file with these bytes, which may grow to `cap` bytes.
    pub const fn new(bytes: Vec<u8>, cap: u64) -> Self {
        Self {
            bytes: RwLock::new(bytes),
            cap,
        }
    }

    /// A copy of the content.
    pub fn snapshot(&self) -> Vec<u8> {
        self.bytes.read().clone()
    }

    /// The place `offset..offset+length` in the vector, grown to hold it.
    fn grown(
        &self,
        bytes: &mut Vec<u8>,
        offset: GuestOffset,
        length: u64,
    ) -> Result<std::ops::Range<usize>> {
        let end = offset.plus(length)?.bytes();
        if end > self.cap {
            return Err(Error::bare(errno::ENOSPC));
        }
        let too_large = |_| Error::bare(errno::EFBIG);
        let range = usize::try_from(offset.bytes()).map_err(too_large)?
            ..usize::try_from(end).map_err(too_large)?;
        if range.end > bytes.len() {
            bytes.resize(range.end, 0);
        }
        Ok(range)
    }
}

impl Node for Memory {
    fn driver(&self) -> &'static str {
        "memory"
    }

    fn filename(&self) -> String {
        "memory:".to_owned()
    }

    fn writable(&self) -> bool {
        true
    }

    fn length(&self) -> Result<u64> {
        Ok(self.bytes.read().len() as u64)
    }

    fn read_at(&self, offset: GuestOffset, buffer: &mut [u8]) -> Result<()> {
        let bytes = self.bytes.read();
        let start = usize::try_from(offset.bytes())
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let available = bytes.get(start..).unwrap_or_default();
        let (head, tail) = buffer.split_at_mut(available.len().min(buffer.len()));
        head.copy_from_slice(&available[..head.len()]);
        tail.fill(0);
        Ok(())
    }

    fn write_at(&self, offset: GuestOffset, data: &[u8]) -> Result<()> {
        let mut bytes = self.bytes.write();
        let range = self.grown(&mut bytes, offset, data.len() as u64)?;
        bytes[range].copy_from_slice(data);
        Ok(())
    }

    fn write_zeroes(&self, offset: GuestOffset, length: u64, _flags: ZeroFlags) -> Result<()> {
        let mut bytes = self.bytes.write();
        let range = self.grown(&mut bytes, offset, length)?;
        bytes[range].fill(0);
        Ok(())
    }

    fn discard(&self, offset: GuestOffset, length: u64) -> Result<()> {
        let end = self.length()?.min(offset.saturating_plus(length).bytes());
        let inside = end.saturating_sub(offset.bytes());
        if inside == 0 {
            Ok(())
        } else {
            self.write_zeroes(offset, inside, ZeroFlags::empty())
        }
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }

    fn resize(&self, length: u64, _preallocation: Preallocation) -> Result<()> {
        if length > self.cap {
            return Err(Error::bare(errno::ENOSPC));
        }
        let length = usize::try_from(length).map_err(|_| Error::bare(errno::EFBIG))?;
        self.bytes.write().resize(length, 0);
        Ok(())
    }

    fn extent(&self, offset: GuestOffset, length: u64) -> Result<Extent> {
        let available = self.length()?.saturating_sub(offset.bytes());
        Ok(Extent {
            length: length.min(available),
            data: true,
            allocated: true,
            host: Some(HostOffset::new(offset.bytes())),
            ..Extent::default()
        })
    }

    fn close(&self) -> Result<()> {
        Ok(())
    }
}
