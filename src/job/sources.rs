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
    /// Nothing of its own: what lies below the base has it.
    Backed,
}

#[derive(Debug)]
struct Part {
    node: SharedNode,
    /// Where it starts among the sources.
    start: u64,
    /// Bytes left out at the node's start.
    skipped: u64,
    /// Rounded up to sectors.
    length: u64,
    /// What the node can really be asked for.
    readable: u64,
    /// The real tool asks qcow v1 cluster by cluster.
    cluster: Option<u64>,
}

/// Images joined end to end.
#[derive(Debug)]
pub struct Sources {
    parts: Vec<Part>,
    length: u64,
    base: Option<SharedNode>,
    /// Contents are told in whole multiples of this.
    grain: Option<u64>,
}

impl Sources {
    /// Joins `nodes`.
    pub fn join(nodes: &[SharedNode]) -> Result<Self> {
        let mut parts = Vec::with_capacity(nodes.len());
        let mut start: u64 = 0;
        for node in nodes {
            let part = Part::new(node, start, 0, u64::MAX)?;
            start = start
                .checked_add(part.length)
                .ok_or_else(|| Error::bare(errno::EFBIG))?;
            parts.push(part);
        }
        Ok(Self {
            parts,
            length: start,
            base: None,
            grain: None,
        })
    }

    /// What `node` and its backing chain hold above `base`; the rest counts as [`Content::Backed`].
    pub fn above(node: &SharedNode, base: Option<SharedNode>) -> Result<Self> {
        let mut sources = Self::join(std::slice::from_ref(node))?;
        sources.base = base;
        Ok(sources)
    }

    /// Tells contents in whole grains from now on: a grain that holds different things counts as data.
    #[must_use]
    pub const fn in_grains(mut self, bytes: u64) -> Self {
        self.grain = Some(bytes);
        self
    }

    /// Whether contents are told in whole grains.
    pub const fn is_grained(&self) -> bool {
        self.grain.is_some()
    }

    /// The bytes of `node` from `skipped` on, up to its byte `end`.
    pub fn window(node: &SharedNode, skipped: u64, end: u64) -> Result<Self> {
        let part = Part::new(node, 0, skipped, end)?;
        Ok(Self {
            length: part.length,
            parts: vec![part],
            base: None,
            grain: None,
        })
    }

    /// How far an extent at `offset` reaches at most in the real tool's eyes.
    pub fn cluster_end(&self, offset: u64) -> u64 {
        match self.part(offset) {
            Ok((part, inside)) => part.cluster.map_or(u64::MAX, |cluster| {
                offset.saturating_add(cluster - (inside + part.skipped) % cluster)
            }),
            Err(_) => u64::MAX,
        }
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
            part.node
                .read_at(GuestOffset::new(inside + part.skipped), real)?;
            padding.fill(0);
            buffer = rest;
            offset += here as u64;
        }
        Ok(())
    }

    /// The content at `offset` and how long it goes on, at most `length` bytes.
    pub fn content(&self, offset: GuestOffset, length: u64) -> Result<(Content, u64)> {
        let (content, mut run) = self.extent(offset, length)?;
        let Some(grain) = self.grain else {
            return Ok((content, run));
        };
        let start = offset.bytes();
        let whole = (grain - start % grain).min(length);
        if content == Content::Data {
            let end = (start + run).next_multiple_of(grain);
            return Ok((content, (end - start).min(length)));
        }
        while run < whole {
            let (next, more) = self.extent(GuestOffset::new(start + run), length - run)?;
            if next != content {
                return Ok((Content::Data, whole));
            }
            run += more;
        }
        let end = start + run;
        let cut = if run == length { 0 } else { end % grain };
        Ok((content, run - cut))
    }

    fn extent(&self, offset: GuestOffset, length: u64) -> Result<(Content, u64)> {
        let (part, inside) = self.part(offset.bytes())?;
        let available = part.readable.saturating_sub(inside).min(length);
        if available == 0 {
            return Ok((Content::Zero, (part.length - inside).min(length)));
        }
        let at = GuestOffset::new(inside + part.skipped);
        let extent = extent_above(&part.node, self.base.as_ref(), at, available)?.extent;
        let run = extent.length.min(available);
        if run == 0 {
            return Err(Error::eio());
        }
        let content = match () {
            () if self.base.is_some() && !extent.allocated => Content::Backed,
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

impl Part {
    fn new(node: &SharedNode, start: u64, skipped: u64, end: u64) -> Result<Self> {
        let readable = node.length()?.min(end).saturating_sub(skipped);
        let length = readable
            .checked_next_multiple_of(SECTOR)
            .ok_or_else(|| Error::bare(errno::EFBIG))?;
        Ok(Self {
            node: SharedNode::clone(node),
            start,
            skipped,
            length,
            readable,
            cluster: if node.driver() == "qcow" {
                node.info()?.cluster_size
            } else {
                None
            },
        })
    }
}

/// `available`, but not more than `wanted`.
fn bounded(available: u64, wanted: usize) -> usize {
    usize::try_from(available).map_or(wanted, |available| available.min(wanted))
}

#[cfg(test)]
mod tests;
