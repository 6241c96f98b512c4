//! A file that is only read, and what was written over it in memory: for dry runs.

use std::collections::BTreeMap;

use parking_lot::RwLock;

use crate::base::error::errno;
use crate::base::{Error, GuestOffset, HostOffset, Result};
use crate::node::{Extent, HostFile, Node, Preallocation, ZeroFlags};

/// Bytes of a page.
const PAGE: usize = 4096;

struct Written {
    pages: BTreeMap<u64, Box<[u8]>>,
    length: u64,
    /// Bytes from here on are no longer those of the file.
    cut: u64,
}

/// Reads go to the file below, writes stay in memory.
pub struct Scratch {
    below: HostFile,
    /// Pages in memory at most; a write beyond fails with ENOSPC.
    pages_max: usize,
    written: RwLock<Written>,
}

impl Scratch {
    /// Nothing written yet; at most `bytes_max` bytes can be.
    pub fn new(below: HostFile, bytes_max: usize) -> Result<Self> {
        let length = below.length()?;
        Ok(Self {
            below,
            pages_max: bytes_max / PAGE,
            written: RwLock::new(Written {
                pages: BTreeMap::new(),
                length,
                cut: length,
            }),
        })
    }

    fn page(&self, written: &Written, index: u64) -> Result<Box<[u8]>> {
        if let Some(page) = written.pages.get(&index) {
            return Ok(page.clone());
        }
        let start = index.saturating_mul(PAGE as u64);
        let mut page = vec![0; PAGE].into_boxed_slice();
        let inside = usize::try_from(written.cut.saturating_sub(start)).unwrap_or(usize::MAX);
        let inside = inside.min(PAGE);
        self.below
            .read_at(HostOffset::new(start), &mut page[..inside])?;
        Ok(page)
    }

    /// Calls `visit` with each page of a range, the part of it that counts, and that part's place in the range.
    fn each_page(
        offset: GuestOffset,
        length: usize,
        mut visit: impl FnMut(u64, std::ops::Range<usize>, usize) -> Result<()>,
    ) -> Result<()> {
        let mut done = 0;
        while done < length {
            let at = offset.plus(done as u64)?.bytes();
            let within = usize::try_from(at % PAGE as u64).unwrap_or(0);
            let step = (PAGE - within).min(length - done);
            visit(at / PAGE as u64, within..within + step, done)?;
            done += step;
        }
        Ok(())
    }
}

impl Node for Scratch {
    fn driver(&self) -> &'static str {
        "scratch"
    }

    fn filename(&self) -> String {
        "scratch:".to_owned()
    }

    fn writable(&self) -> bool {
        true
    }

    fn length(&self) -> Result<u64> {
        Ok(self.written.read().length)
    }

    fn read_at(&self, offset: GuestOffset, buffer: &mut [u8]) -> Result<()> {
        let written = self.written.read();
        Self::each_page(offset, buffer.len(), |index, within, at| {
            let page = self.page(&written, index)?;
            let length = within.len();
            buffer[at..at + length].copy_from_slice(&page[within]);
            Ok(())
        })
    }

    fn write_at(&self, offset: GuestOffset, data: &[u8]) -> Result<()> {
        let mut written = self.written.write();
        Self::each_page(offset, data.len(), |index, within, at| {
            let mut page = self.page(&written, index)?;
            let length = within.len();
            page[within].copy_from_slice(&data[at..at + length]);
            if written.pages.len() >= self.pages_max && !written.pages.contains_key(&index) {
                return Err(Error::bare(errno::ENOSPC));
            }
            written.pages.insert(index, page);
            Ok(())
        })?;
        let end = offset.plus(data.len() as u64)?.bytes();
        written.length = written.length.max(end);
        Ok(())
    }

    fn write_zeroes(&self, offset: GuestOffset, length: u64, _flags: ZeroFlags) -> Result<()> {
        let zeros = vec![0; PAGE];
        let mut done = 0;
        while done < length {
            let step = (length - done).min(PAGE as u64);
            let piece = usize::try_from(step).unwrap_or(PAGE);
            self.write_at(offset.plus(done)?, &zeros[..piece])?;
            done += step;
        }
        Ok(())
    }

    /// A discard is a hint.
    fn discard(&self, _offset: GuestOffset, _length: u64) -> Result<()> {
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }

    fn resize(&self, length: u64, _preallocation: Preallocation) -> Result<()> {
        let mut written = self.written.write();
        if length < written.length {
            let first_gone = length.div_ceil(PAGE as u64);
            written.pages.split_off(&first_gone);
            written.cut = written.cut.min(length);
            let within = usize::try_from(length % PAGE as u64).unwrap_or(0);
            if let Some(page) = written.pages.get_mut(&(length / PAGE as u64))
                && within > 0
            {
                page[within..].fill(0);
            }
        }
        written.length = length;
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
