//! The node: requests pass unless a rule says otherwise.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::limits::{Limits, pieces};
use super::machine::Machine;
use super::rules::{IoTypes, Rule};
use crate::base::error::errno;
use crate::base::{Error, GuestOffset, Result};
use crate::node::{
    Breakpoints, DebugEvent, Extent, ImageInfo, Node, Preallocation, SharedNode, ZeroFlags,
};

/// What a blkdebug node does.
#[derive(Clone, Debug, Default)]
pub struct BlkdebugOptions {
    /// The name to show.
    pub filename: String,
    /// Request sizes.
    pub limits: Limits,
    /// Errors and state changes.
    pub rules: Vec<Rule>,
}

/// `blkdebug` over another node.
pub struct Blkdebug {
    below: SharedNode,
    filename: String,
    limits: Limits,
    /// Smaller requests are read, changed and written as a whole (bytes).
    alignment: u64,
    machine: Arc<Machine>,
    /// Written since the last flush.
    unflushed: AtomicBool,
}

impl Blkdebug {
    /// The node over `below`.
    pub fn new(below: SharedNode, options: BlkdebugOptions) -> Result<Self> {
        let alignment = below.request_alignment();
        options.limits.check(alignment)?;
        Ok(Self {
            below,
            filename: options.filename,
            limits: options.limits,
            alignment: alignment.max(options.limits.align).max(1),
            machine: Arc::new(Machine::new(options.rules)),
            unflushed: AtomicBool::new(false),
        })
    }

    /// Reads whole blocks; what lies behind the end is zeros.
    fn read_blocks(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let mut rest = buffer;
        for (position, length) in pieces(offset, rest.len() as u64, 1, self.limits.max_transfer) {
            self.machine.check(IoTypes::READ, position, length)?;
            let (piece, behind) = rest.split_at_mut(usize::try_from(length).unwrap_or(0));
            self.below.read_at(GuestOffset::new(position), piece)?;
            rest = behind;
        }
        Ok(())
    }

    fn write_blocks(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut rest = data;
        for (position, length) in pieces(offset, rest.len() as u64, 1, self.limits.max_transfer) {
            self.machine.check(IoTypes::WRITE, position, length)?;
            let (piece, behind) = rest.split_at(usize::try_from(length).unwrap_or(0));
            self.below.write_at(GuestOffset::new(position), piece)?;
            rest = behind;
        }
        Ok(())
    }

    /// The blocks that a range touches.
    fn blocks_around(&self, offset: u64, length: u64) -> Result<(u64, u64)> {
        let start = offset - offset % self.alignment;
        let end = offset
            .checked_add(length)
            .and_then(|end| end.checked_next_multiple_of(self.alignment))
            .ok_or_else(|| Error::bare(errno::EFBIG))?;
        Ok((start, end - start))
    }

    /// Writes bytes that don't fill their blocks.
    fn write_unaligned(&self, offset: u64, data: &[u8]) -> Result<()> {
        let (start, length) = self.blocks_around(offset, data.len() as u64)?;
        let block = self.alignment;
        let has_head = offset != start;
        let has_tail = offset + data.len() as u64 != start + length;
        let size = |bytes: u64| usize::try_from(bytes).map_err(|_| Error::bare(errno::EFBIG));
        let mut whole = vec![0; size(length)?];
        let block_bytes = size(block)?;
        // Events in the order in which the real tool raises them.
        if length <= 2 * block && has_head && has_tail {
            self.machine.raise(DebugEvent::PwritevRmwHead);
            self.machine.raise(DebugEvent::PwritevRmwTail);
            self.read_blocks(start, &mut whole)?;
            self.machine.raise(DebugEvent::PwritevRmwAfterHead);
            self.machine.raise(DebugEvent::PwritevRmwAfterTail);
        } else {
            if has_head {
                self.machine.raise(DebugEvent::PwritevRmwHead);
                self.read_blocks(start, &mut whole[..block_bytes])?;
                self.machine.raise(DebugEvent::PwritevRmwAfterHead);
            }
            if has_tail {
                self.machine.raise(DebugEvent::PwritevRmwTail);
                let last = whole.len() - block_bytes;
                self.read_blocks(start + length - block, &mut whole[last..])?;
                self.machine.raise(DebugEvent::PwritevRmwAfterTail);
            }
        }
        let skip = size(offset - start)?;
        whole[skip..skip + data.len()].copy_from_slice(data);
        self.write_counted(start, &whole)
    }

    fn write_counted(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.machine.raise(DebugEvent::Pwritev);
        let outcome = self.write_blocks(offset, data);
        self.end_write();
        outcome
    }

    fn end_write(&self) {
        self.unflushed.store(true, Ordering::Release);
        self.machine.raise(DebugEvent::PwritevDone);
    }

    fn zero_blocks(&self, offset: u64, length: u64, flags: ZeroFlags) -> Result<()> {
        let unit = self.limits.opt_write_zero;
        for (position, length) in pieces(offset, length, unit, self.limits.max_write_zero) {
            if unit > 1 && !length.is_multiple_of(unit) {
                if flags.contains(ZeroFlags::NO_FALLBACK) {
                    return Err(Error::bare(errno::ENOTSUP));
                }
                let size = usize::try_from(length).map_err(|_| Error::bare(errno::EFBIG))?;
                self.write_blocks(position, &vec![0; size])?;
                continue;
            }
            self.machine
                .check(IoTypes::WRITE_ZEROES, position, length)?;
            self.below
                .write_zeroes(GuestOffset::new(position), length, flags)?;
        }
        Ok(())
    }
}

impl Node for Blkdebug {
    fn driver(&self) -> &'static str {
        "blkdebug"
    }

    fn filename(&self) -> String {
        self.filename.clone()
    }

    fn writable(&self) -> bool {
        self.below.writable()
    }

    fn length(&self) -> Result<u64> {
        self.below.length()
    }

    fn request_alignment(&self) -> u64 {
        self.alignment
    }

    fn read_at(&self, offset: GuestOffset, buffer: &mut [u8]) -> Result<()> {
        let offset = offset.bytes();
        let (start, length) = self.blocks_around(offset, buffer.len() as u64)?;
        if start == offset && length == buffer.len() as u64 {
            return self.read_blocks(offset, buffer);
        }
        let size = usize::try_from(length).map_err(|_| Error::bare(errno::EFBIG))?;
        let mut blocks = vec![0; size];
        self.read_blocks(start, &mut blocks)?;
        let skip = usize::try_from(offset - start).unwrap_or(0);
        buffer.copy_from_slice(&blocks[skip..skip + buffer.len()]);
        Ok(())
    }

    fn write_at(&self, offset: GuestOffset, data: &[u8]) -> Result<()> {
        let offset = offset.bytes();
        let aligned = offset.is_multiple_of(self.alignment)
            && (data.len() as u64).is_multiple_of(self.alignment);
        if aligned {
            self.write_counted(offset, data)
        } else {
            self.write_unaligned(offset, data)
        }
    }

    fn write_zeroes(&self, offset: GuestOffset, length: u64, flags: ZeroFlags) -> Result<()> {
        let offset = offset.bytes();
        let end = offset
            .checked_add(length)
            .ok_or_else(|| Error::bare(errno::EFBIG))?;
        let middle = offset.next_multiple_of(self.alignment).min(end);
        let tail = (end - end % self.alignment).max(middle);
        let zeros = |bytes: u64| vec![0; usize::try_from(bytes).unwrap_or(0)];
        if offset < middle {
            self.write_unaligned(offset, &zeros(middle - offset))?;
        }
        if middle < tail {
            self.machine.raise(DebugEvent::PwritevZero);
            let outcome = self.zero_blocks(middle, tail - middle, flags);
            self.end_write();
            outcome?;
        }
        if tail < end {
            self.write_unaligned(tail, &zeros(end - tail))?;
        }
        Ok(())
    }

    fn discard(&self, offset: GuestOffset, length: u64) -> Result<()> {
        let limits = &self.limits;
        self.unflushed.store(true, Ordering::Release);
        for (position, length) in pieces(
            offset.bytes(),
            length,
            limits.opt_discard,
            limits.max_discard,
        ) {
            // Space that can't be given back is no reason to fail.
            match self.machine.check(IoTypes::DISCARD, position, length) {
                Err(error) if error.errno() == errno::ENOTSUP => continue,
                outcome => outcome?,
            }
            self.below.discard(GuestOffset::new(position), length)?;
        }
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        // Nothing happens when nothing was written since.
        if self.unflushed.swap(false, Ordering::AcqRel) {
            self.machine.check(IoTypes::FLUSH, 0, 0).inspect_err(|_| {
                self.unflushed.store(true, Ordering::Release);
            })?;
        }
        self.below.flush()
    }

    fn resize(&self, length: u64, preallocation: Preallocation) -> Result<()> {
        self.below.resize(length, preallocation)
    }

    fn extent(&self, offset: GuestOffset, length: u64) -> Result<Extent> {
        self.machine
            .check(IoTypes::BLOCK_STATUS, offset.bytes(), length)?;
        self.below.extent(offset, length)
    }

    fn info(&self) -> Result<ImageInfo> {
        let below = self.below.info()?;
        Ok(ImageInfo {
            cluster_size: below.cluster_size,
            vm_state_offset: below.vm_state_offset,
            ..ImageInfo::default()
        })
    }

    fn allocated_bytes(&self) -> Option<u64> {
        None
    }

    fn file(&self) -> Option<SharedNode> {
        Some(SharedNode::clone(&self.below))
    }

    fn child_name(&self) -> &'static str {
        "image"
    }

    fn debug_event(&self, event: DebugEvent) {
        self.machine.raise(event);
    }

    fn breakpoints(&self) -> Option<Arc<dyn Breakpoints>> {
        Some(Arc::clone(&self.machine) as Arc<dyn Breakpoints>)
    }

    fn close(&self) -> Result<()> {
        self.below.close()
    }
}
