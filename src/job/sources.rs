//! Several images read as one, the way `convert` joins its sources.

use crate::base::error::errno;
use crate::base::{Error, GuestOffset, Result};
use crate::node::SharedNode;
use crate::node::extent::extent_above;

/// Sizes of images are rounded up to this.
const SECTOR: u64 = 512;

/// What a run of the sources holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Bytes that have to be read.
    Data,
    /// Zeros.
    Zero,
    /// Nothing of its own: the backing file of the target has it.
    Backed,
}

#[derive(Debug)]
struct Part {
    node: SharedNode,
    start: u64,
    /// Rounded up to sectors.
    length: u64,
    /// What the node can really be asked for.
    readable: u64,
}

/// Images joined end to end.
#[derive(Debug)]
pub struct Sources {
    parts: Vec<Part>,
    length: u64,
    above_backing_only: bool,
}

impl Sources {
    /// Joins `nodes`. With `above_backing_only`, what a node's backing chain holds counts as [`Content::Backed`].
    pub fn new(nodes: &[SharedNode], above_backing_only: bool) -> Result<Self> {
        let mut parts = Vec::with_capacity(nodes.len());
        let mut start: u64 = 0;
        for node in nodes {
            let readable = node.length()?;
            let length = readable
                .checked_next_multiple_of(SECTOR)
                .ok_or_else(|| Error::bare(errno::EFBIG))?;
            parts.push(Part {
                node: SharedNode::clone(node),
                start,
                length,
                readable,
            });
            start = start
                .checked_add(length)
                .ok_or_else(|| Error::bare(errno::EFBIG))?;
        }
        Ok(Self {
            parts,
            length: start,
            above_backing_only,
        })
    }

    /// Bytes in all.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// The part that holds `offset`, and the offset inside it.
    fn part(&self, offset: u64) -> Result<(&Part, u64)> {
        self.parts
            .iter()
            .find(|part| offset >= part.start && offset - part.start < part.length)
            .map(|part| (part, offset - part.start))
            .ok_or_else(Error::eio)
    }

    /// Fills `buffer`, across the borders of images.
    pub fn read_at(&self, offset: GuestOffset, mut buffer: &mut [u8]) -> Result<()> {
        let mut offset = offset.bytes();
        while !buffer.is_empty() {
            let (part, inside) = self.part(offset)?;
            let here = bounded(part.length - inside, buffer.len());
            let (head, rest) = buffer.split_at_mut(here);
            let (real, padding) =
                head.split_at_mut(bounded(part.readable.saturating_sub(inside), here));
            part.node.read_at(GuestOffset::new(inside), real)?;
            padding.fill(0);
            buffer = rest;
            offset += here as u64;
        }
        Ok(())
    }

    /// The content at `offset` and how long it goes on, at most `length` bytes.
    pub fn content(&self, offset: GuestOffset, length: u64) -> Result<(Content, u64)> {
        let (part, inside) = self.part(offset.bytes())?;
        let available = part.readable.saturating_sub(inside).min(length);
        if available == 0 {
            return Ok((Content::Zero, (part.length - inside).min(length)));
        }
        let at = GuestOffset::new(inside);
        let (extent, backed) = if self.above_backing_only && part.node.backing().is_some() {
            let extent = part.node.extent(at, available)?;
            (extent, !extent.allocated)
        } else {
            (extent_above(&part.node, None, at, available)?.extent, false)
        };
        let run = extent.length.min(available);
        if run == 0 {
            return Err(Error::eio());
        }
        let content = match () {
            () if backed => Content::Backed,
            () if extent.zero || !extent.data => Content::Zero,
            () => Content::Data,
        };
        // The last, short sector goes with what is before it.
        let run = if run == available && inside + run == part.readable {
            (part.length - inside).min(length)
        } else {
            run
        };
        Ok((content, run))
    }
}

/// `available`, but not more than `wanted`.
fn bounded(available: u64, wanted: usize) -> usize {
    usize::try_from(available).map_or(wanted, |available| available.min(wanted))
}

#[cfg(test)]
mod tests;
