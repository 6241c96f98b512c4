//! `blklogwrites`: everything that is written is also appended to a log, in the format of Linux' dm-log-writes.

use parking_lot::Mutex;

use super::forward::{forward_facts, forward_reads};
use crate::base::error::errno;
use crate::base::{Error, GuestOffset, Result};
use crate::node::{ImageInfo, Node, Preallocation, SharedNode, ZeroFlags};

/// `rhswfsj`: the log's first bytes, as a little-endian number.
const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;
/// Bytes of an entry's description.
pub const ENTRY_BYTES: u64 = 32;
const FLUSH: u64 = 1;
const DISCARD: u64 = 4;

/// What is known of the log.
struct Log {
    /// The sector behind the last entry.
    end: u64,
    entries: u64,
    /// Writes so far, and how many of them a flush has seen.
    written: u64,
    flushed: u64,
}

/// What the options say.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// The name to show.
    pub filename: String,
    /// `log-sector-size`
    pub sector_size: u64,
    /// `log-append`
    pub append: bool,
    /// `log-super-update-interval`
    pub super_interval: u64,
}

/// A node whose changes are logged.
pub struct Blklogwrites {
    inner: SharedNode,
    log: SharedNode,
    filename: String,
    sector: u64,
    super_interval: u64,
    state: Mutex<Log>,
}

fn number_at(bytes: &[u8], offset: usize) -> u64 {
    bytes
        .get(offset..offset + 8)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u64::from_le_bytes)
}

/// The sector size that a log's first sector tells.
fn read_super(log: &SharedNode) -> Result<(u64, u64)> {
    let mut head = [0; 28];
    log.read_at(GuestOffset::ZERO, &mut head)
        .map_err(|error| error.prefixed_when_bare("Could not read log superblock: "))?;
    if number_at(&head, 0) != MAGIC {
        return Err(Error::caller("Invalid log superblock magic"));
    }
    let version = number_at(&head, 8);
    if version != VERSION {
        return Err(Error::caller(format!("Unsupported log version {version}")));
    }
    let size = head
        .get(24..28)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u32::from_le_bytes);
    Ok((number_at(&head, 16), u64::from(size)))
}

/// True for sizes that a log can have.
pub const fn fits(sector_size: u64) -> bool {
    sector_size.is_power_of_two() && sector_size >= ENTRY_BYTES && sector_size <= 1 << 23
}

impl Blklogwrites {
    /// Over `inner`, with the log in `log`.
    pub fn new(inner: SharedNode, log: SharedNode, options: LogOptions) -> Result<Self> {
        let (mut sector, mut end, mut entries) = (options.sector_size, 1, 0);
        if options.append && log.length()? > 0 {
            let (count, size) = read_super(&log)?;
            if !fits(size) {
                return Err(Error::caller(format!("Invalid log sector size {size}")));
            }
            sector = size;
            entries = count;
            let mut entry = [0; 32];
            for _ in 0..count {
                let place = GuestOffset::new(end).bytes().saturating_mul(sector);
                log.read_at(GuestOffset::new(place), &mut entry)
                    .map_err(|error| error.prefixed_when_bare("Could not read log entry: "))?;
                end += 1;
                if number_at(&entry, 16) & DISCARD == 0 {
                    end = end.saturating_add(number_at(&entry, 8));
                }
            }
        }
        Ok(Self {
            inner,
            log,
            filename: options.filename,
            sector,
            super_interval: options.super_interval,
            state: Mutex::new(Log {
                end,
                entries,
                written: 0,
                flushed: 0,
            }),
        })
    }

    fn place(&self, sector: u64) -> GuestOffset {
        GuestOffset::new(sector.saturating_mul(self.sector))
    }

    /// One entry with its data; `bytes` counts whole sectors.
    fn append(&self, offset: u64, bytes: u64, flags: u64, data: Option<&[u8]>) -> Result<()> {
        let mut state = self.state.lock();
        let size = usize::try_from(self.sector).map_err(|_| Error::eio())?;
        let mut entry = Vec::with_capacity(size);
        for value in [offset / self.sector, bytes / self.sector, flags, 0] {
            entry.extend_from_slice(&value.to_le_bytes());
        }
        entry.resize(size, 0);
        let start = self.place(state.end);
        self.log.write_at(start, &entry)?;
        let behind = start.plus(self.sector)?;
        if let Some(data) = data {
            self.log.write_at(behind, data)?;
        } else if flags == 0 && bytes > 0 {
            self.log.write_zeroes(behind, bytes, ZeroFlags::empty())?;
        }
        state.end += 1;
        if flags & DISCARD == 0 {
            state.end += bytes / self.sector;
        }
        state.entries += 1;
        if flags & FLUSH != 0 || state.entries.is_multiple_of(self.super_interval) {
            self.write_super(state.entries, size)?;
        }
        Ok(())
    }

    fn write_super(&self, entries: u64, size: usize) -> Result<()> {
        let mut head = Vec::with_capacity(size);
        for value in [MAGIC, VERSION, entries] {
            head.extend_from_slice(&value.to_le_bytes());
        }
        let sector = u32::try_from(self.sector).map_err(|_| Error::eio())?;
        head.extend_from_slice(&sector.to_le_bytes());
        head.resize(size, 0);
        self.log.write_at(GuestOffset::ZERO, &head)?;
        self.log.flush()
    }

    fn written(&self) {
        self.state.lock().written += 1;
    }

    /// Whole sectors: written and logged.
    fn write_whole(&self, offset: u64, data: &[u8]) -> Result<()> {
        let logged = self.append(offset, data.len() as u64, 0, Some(data));
        let outcome = self.inner.write_at(GuestOffset::new(offset), data);
        self.written();
        outcome.and(logged)
    }

    /// Reads the sectors around, changes and writes them.
    fn write_part(&self, offset: u64, data: &[u8]) -> Result<()> {
        let start = offset - offset % self.sector;
        let end = offset
            .checked_add(data.len() as u64)
            .and_then(|end| end.checked_next_multiple_of(self.sector))
            .ok_or_else(|| Error::bare(errno::EFBIG))?;
        let size = |bytes: u64| usize::try_from(bytes).map_err(|_| Error::bare(errno::EFBIG));
        let mut whole = vec![0; size(end - start)?];
        let stored = end.min(self.inner.length()?).saturating_sub(start);
        let stored = size(stored)?.min(whole.len());
        self.inner
            .read_at(GuestOffset::new(start), &mut whole[..stored])?;
        let skip = size(offset - start)?;
        whole[skip..skip + data.len()].copy_from_slice(data);
        self.write_whole(start, &whole)
    }

    /// A flush is logged when something was written since the last; `late` writes are not seen yet.
    fn flush_logged(&self, late: u64) -> Result<()> {
        let seen = {
            let mut state = self.state.lock();
            let seen = state.written.saturating_sub(late);
            (state.flushed != seen).then(|| state.flushed = seen)
        };
        self.inner.flush()?;
        if seen.is_some() {
            self.append(0, 0, FLUSH, None)?;
        }
        Ok(())
    }
}

impl Node for Blklogwrites {
    forward_facts!(@tree);
    forward_reads!();

    fn driver(&self) -> &'static str {
        "blklogwrites"
    }

    fn filename(&self) -> String {
        self.filename.clone()
    }

    fn request_alignment(&self) -> u64 {
        self.sector.max(self.inner.request_alignment())
    }

    fn info(&self) -> Result<ImageInfo> {
        let inner = self.inner.info()?;
        Ok(ImageInfo {
            cluster_size: inner.cluster_size,
            vm_state_offset: inner.vm_state_offset,
            ..ImageInfo::default()
        })
    }

    fn file(&self) -> Option<SharedNode> {
        Some(SharedNode::clone(&self.inner))
    }

    fn children(&self) -> Vec<(String, SharedNode)> {
        vec![
            ("log".to_owned(), SharedNode::clone(&self.log)),
            ("file".to_owned(), SharedNode::clone(&self.inner)),
        ]
    }

    fn write_at(&self, offset: GuestOffset, data: &[u8]) -> Result<()> {
        let whole =
            offset.is_aligned(self.sector) && (data.len() as u64).is_multiple_of(self.sector);
        if whole {
            self.write_whole(offset.bytes(), data)
        } else {
            self.write_part(offset.bytes(), data)
        }
    }

    fn write_zeroes(&self, offset: GuestOffset, length: u64, flags: ZeroFlags) -> Result<()> {
        let end = offset.plus(length)?.bytes();
        let offset = offset.bytes();
        let middle = offset.next_multiple_of(self.sector).min(end);
        let tail = (end - end % self.sector).max(middle);
        let zeros = |bytes: u64| vec![0; usize::try_from(bytes).unwrap_or(0)];
        if offset < middle {
            self.write_part(offset, &zeros(middle - offset))?;
        }
        if middle < tail {
            let logged = self.append(middle, tail - middle, 0, None);
            let place = GuestOffset::new(middle);
            let outcome = self.inner.write_zeroes(place, tail - middle, flags);
            self.written();
            outcome.and(logged)?;
        }
        if tail < end {
            self.write_part(tail, &zeros(end - tail))?;
        }
        Ok(())
    }

    /// Only whole sectors: space that is not given back hurts nobody.
    fn discard(&self, offset: GuestOffset, length: u64) -> Result<()> {
        let end = offset.plus(length)?.bytes();
        let start = offset.bytes().next_multiple_of(self.sector);
        let end = end - end % self.sector;
        if start >= end {
            return Ok(());
        }
        let logged = self.append(start, end - start, DISCARD, None);
        let outcome = self.inner.discard(GuestOffset::new(start), end - start);
        self.written();
        outcome.and(logged)
    }

    fn flush(&self) -> Result<()> {
        self.flush_logged(0)
    }

    fn flush_write(&self) -> Result<()> {
        // The flush that belongs to a write comes before the write counts, as in the real tool.
        self.flush_logged(1)
    }

    fn resize(&self, length: u64, preallocation: Preallocation) -> Result<()> {
        self.inner.resize(length, preallocation)
    }

    fn close(&self) -> Result<()> {
        let flushed = if self.writable() {
            self.flush_logged(0)
        } else {
            Ok(())
        };
        let closed = self.inner.close();
        self.log.close().and(closed).and(flushed)
    }
}
