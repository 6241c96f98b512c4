//! Giving a layer another backing file without changing what it reads as: the engine of `rebase`.

use super::progress::{Meter, Progress};
use crate::base::{Error, GuestOffset, Result};
use crate::node::extent::extent_above;
use crate::node::{SharedNode, ZeroFlags};

/// One rebase.
pub struct Rebase<'a> {
    /// The layer, open for writing, still above its old backing file.
    pub top: &'a SharedNode,
    /// What it will lie on; `None`: nothing.
    pub new_backing: Option<&'a SharedNode>,
    /// Write what has to be copied compressed.
    pub compressed: bool,
    /// Who is told how far it is.
    pub progress: &'a dyn Progress,
}

/// Which step failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Asking the layer what it holds itself.
    Status,
    /// Reading what it lay on.
    ReadingOld,
    /// Reading what it will lie on.
    ReadingNew,
    /// Writing the layer.
    Writing,
}

/// Why a rebase failed.
#[derive(Debug)]
pub struct Failure {
    /// What was being done.
    pub step: Step,
    /// Where.
    pub offset: GuestOffset,
    /// Why.
    pub error: Error,
}

/// Bytes compared at a time, unless a cluster is longer.
const CHUNK: u64 = 2 << 20;
/// The unit of formats without clusters.
const CLUSTER_DEFAULT: u64 = 64 << 10;

/// Copies into the layer whatever differs between its old and its new backing file. Neither the layer's header
/// nor its backing node is changed.
pub fn run(rebase: &Rebase<'_>) -> Result<(), Failure> {
    let at = |step, offset| {
        move |error| Failure {
            step,
            offset: GuestOffset::new(offset),
            error,
        }
    };
    let length = rebase.top.length().map_err(at(Step::Status, 0))?;
    let cluster = rebase
        .top
        .info()
        .map_err(at(Step::Status, 0))?
        .cluster_size
        .unwrap_or(CLUSTER_DEFAULT);
    let old = rebase.top.backing();
    let work = Work {
        rebase,
        old: Layer::new(old.as_ref()).map_err(at(Step::ReadingOld, 0))?,
        new: Layer::new(rebase.new_backing).map_err(at(Step::ReadingNew, 0))?,
        cluster,
        length,
    };
    let shared = shared_layer(rebase);
    let step = length.clamp(1, CHUNK);
    let meter = Meter::new(rebase.progress, length / step);
    let mut buffers = Buffers::default();
    let mut position = 0;
    while position < length {
        let (allocated, run) = status(rebase.top, shared.as_ref(), position, length - position)
            .map_err(at(Step::Status, position))?;
        let mut end = position + run;
        if !allocated {
            end = end.min(position.saturating_add(CHUNK.max(cluster)));
            work.range(position, end, &mut buffers)?;
            meter.advance(1);
        }
        position = end;
    }
    Ok(())
}

/// The layer of the old chain that the new backing file is: what lies from there on stays the same.
fn shared_layer(rebase: &Rebase<'_>) -> Option<SharedNode> {
    let wanted = rebase.new_backing?.filename();
    let mut layer = rebase.top.backing();
    while let Some(node) = layer {
        if node.filename() == wanted {
            return Some(node);
        }
        layer = node.backing();
    }
    None
}

/// Whether a range needs no look, because the layer holds it itself or shares what lies below; and its length.
fn status(
    top: &SharedNode,
    shared: Option<&SharedNode>,
    position: u64,
    length: u64,
) -> Result<(bool, u64)> {
    let offset = GuestOffset::new(position);
    let own = top.extent(offset, length)?;
    if own.length == 0 {
        return Err(Error::eio());
    }
    if own.allocated || shared.is_none() {
        return Ok((own.allocated, own.length.min(length)));
    }
    let above = extent_above(top, shared, offset, own.length.min(length))?.extent;
    if above.length == 0 {
        return Err(Error::eio());
    }
    Ok((!above.allocated, above.length))
}

/// A backing node, or nothing; zeros behind its end.
struct Layer<'a> {
    node: Option<&'a SharedNode>,
    length: u64,
}

impl<'a> Layer<'a> {
    fn new(node: Option<&'a SharedNode>) -> Result<Self> {
        let length = node.map_or(Ok(0), |node| node.length())?;
        Ok(Self { node, length })
    }

    fn read(&self, position: u64, buffer: &mut Vec<u8>, wanted: usize) -> Result<()> {
        buffer.clear();
        buffer.resize(wanted, 0);
        let available = self.length.saturating_sub(position);
        let available = usize::try_from(available).map_or(wanted, |bytes| bytes.min(wanted));
        match self.node {
            Some(node) if available > 0 => {
                node.read_at(GuestOffset::new(position), &mut buffer[..available])
            }
            _ => Ok(()),
        }
    }

    /// True when the range is known to read as zeros.
    fn is_zero(&self, position: u64, end: u64) -> Result<bool> {
        let Some(node) = self.node else {
            return Ok(true);
        };
        if position >= self.length {
            return Ok(true);
        }
        let wanted = end.min(self.length) - position;
        let extent = extent_above(node, None, GuestOffset::new(position), wanted)?.extent;
        Ok(extent.zero && extent.length >= wanted)
    }
}

#[derive(Default)]
struct Buffers {
    old: Vec<u8>,
    new: Vec<u8>,
}

struct Work<'a> {
    rebase: &'a Rebase<'a>,
    old: Layer<'a>,
    new: Layer<'a>,
    cluster: u64,
    length: u64,
}

impl Work<'_> {
    /// Deals with a range that the layer does not hold itself.
    fn range(&self, position: u64, end: u64, buffers: &mut Buffers) -> Result<(), Failure> {
        let fail = |step| {
            move |error| Failure {
                step,
                offset: GuestOffset::new(position),
                error,
            }
        };
        let old_is_zero = self
            .old
            .is_zero(position, end)
            .map_err(fail(Step::ReadingOld))?;
        if old_is_zero
            && self
                .new
                .is_zero(position, end)
                .map_err(fail(Step::ReadingNew))?
        {
            return Ok(());
        }
        let wanted = usize::try_from(end - position).unwrap_or(usize::MAX);
        self.old
            .read(position, &mut buffers.old, wanted)
            .map_err(fail(Step::ReadingOld))?;
        self.new
            .read(position, &mut buffers.new, wanted)
            .map_err(fail(Step::ReadingNew))?;
        self.differing_clusters(position, end, buffers)
            .map_err(fail(Step::Writing))
    }

    /// Writes runs of clusters in which old and new differ.
    fn differing_clusters(&self, position: u64, end: u64, buffers: &Buffers) -> Result<()> {
        let index = |offset: u64| usize::try_from(offset - position).unwrap_or(usize::MAX);
        // Nothing but zeros lies behind the old layer's end.
        let zero = position >= self.old.length;
        let mut from = position;
        let mut at = position;
        while at < end {
            let next = (at - at % self.cluster + self.cluster).min(end);
            let same = buffers.old[index(at)..index(next)] == buffers.new[index(at)..index(next)];
            if same || (self.rebase.compressed && !zero) {
                self.write(from, &buffers.old[index(from)..index(at)], zero)?;
                if !same {
                    self.write(at, &buffers.old[index(at)..index(next)], zero)?;
                }
                from = next;
            }
            at = next;
        }
        self.write(from, &buffers.old[index(from)..index(end)], zero)
    }

    fn write(&self, position: u64, data: &[u8], zero: bool) -> Result<()> {
        if zero && !data.is_empty() && self.write_zeroes(position, data.len() as u64)? {
            return Ok(());
        }
        let offset = GuestOffset::new(position);
        let top = self.rebase.top;
        let whole = position.is_multiple_of(self.cluster)
            && (data.len() as u64 == self.cluster || position + data.len() as u64 == self.length);
        if data.is_empty() {
            Ok(())
        } else if self.rebase.compressed && whole {
            top.write_compressed(offset, data)
        } else {
            top.write_at(offset, data)
        }
    }

    /// Whether the layer can hold zeros as such. Where it has no zero clusters, and lies on nothing yet, it drops them:
    /// the new backing file would show through (it does with the real tool).
    fn write_zeroes(&self, position: u64, length: u64) -> Result<bool> {
        let top = self.rebase.top;
        let offset = GuestOffset::new(position);
        top.write_zeroes(offset, length, ZeroFlags::empty())?;
        let (mut at, end) = (position, position + length);
        while at < end {
            let found = top.extent(GuestOffset::new(at), end - at)?;
            if !found.allocated || found.length == 0 {
                return Ok(false);
            }
            at += found.length;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
