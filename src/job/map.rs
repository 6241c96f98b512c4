//! What lies where in an image and its backing chain, merged into runs as long as they can be.

use crate::base::{GuestOffset, HostOffset, Result};
use crate::node::SharedNode;
use crate::node::extent::{ChainExtent, extent_above};

/// A run of bytes with one status.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, printed one by one"
)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// First byte.
    pub start: u64,
    /// Bytes.
    pub length: u64,
    /// 0 for the image itself, 1 for its backing file …
    pub depth: usize,
    /// The layer at that depth decides the content.
    pub present: bool,
    /// Reads as zeros.
    pub zero: bool,
    /// Takes space for data.
    pub data: bool,
    /// Stored compressed.
    pub compressed: bool,
    /// Where in the file the bytes lie, when they lie there as they are.
    pub place: Option<Place>,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Bytes from the file's start.
    pub offset: u64,
    /// The file's name.
    pub filename: String,
}

/// Drivers that answer with what the node below them said.
const FILTERS: [&str; 7] = [
    "blkdebug",
    "blklogwrites",
    "blkverify",
    "compress",
    "copy-on-read",
    "preallocate",
    "throttle",
];

/// A place in the file that a node keeps its content in; through filters and windows, down to the file that has a
/// place of its own.
fn place_in(mut host: HostOffset, node: &SharedNode) -> Result<Option<Place>> {
    let mut node = SharedNode::clone(node);
    loop {
        let Some(file) = node.data_file().or_else(|| node.file()) else {
            // A protocol's bytes lie in itself.
            return Ok(Some(Place::new(host, &node)));
        };
        match node.driver() {
            "raw" if file.file().is_some() => {
                match file.extent(GuestOffset::new(host.bytes()), 1)?.host {
                    Some(below) => host = below,
                    None => return Ok(None),
                }
            }
            filter if FILTERS.contains(&filter) => {}
            _ => return Ok(Some(Place::new(host, &file))),
        }
        node = file;
    }
}

impl Place {
    fn new(host: HostOffset, file: &SharedNode) -> Self {
        Self {
            offset: host.bytes(),
            filename: file.filename(),
        }
    }
}

impl Run {
    fn new(start: u64, found: &ChainExtent) -> Result<Self> {
        let extent = found.extent;
        // Past the end of a short backing file it is the layer above that leaves the range empty.
        let past_end = found.depth > 0 && start >= found.node.length()?;
        let place = match &found.kept {
            _ if extent.undefined => None,
            Some((host, node)) => place_in(*host, node)?,
            None => match extent.host {
                Some(host) => place_in(host, &found.node)?,
                None => None,
            },
        };
        Ok(Self {
            start,
            length: extent.length,
            depth: found.depth - usize::from(past_end),
            present: extent.allocated && !past_end,
            zero: extent.zero,
            data: extent.data,
            compressed: extent.compressed,
            place,
        })
    }

    const fn end(&self) -> u64 {
        self.start + self.length
    }

    /// Takes `next` in when it goes on with the same status; gives it back otherwise.
    fn absorb(&mut self, next: Self) -> Option<Self> {
        let in_place = match (&self.place, &next.place) {
            (None, None) => true,
            (Some(here), Some(there)) => {
                here.offset.checked_add(self.length) == Some(there.offset)
                    && here.filename == there.filename
            }
            _ => false,
        };
        let facts = |run: &Self| (run.depth, run.present, run.zero, run.data, run.compressed);
        if !in_place || facts(self) != facts(&next) {
            return Some(next);
        }
        self.length += next.length;
        None
    }
}

/// Walks over `start..end` of `node` and hands every run to `print`; `true` marks the last one.
///
/// An empty range gives one empty run.
pub fn run<E: From<crate::base::Error>>(
    node: &SharedNode,
    start: u64,
    end: u64,
    print: &mut dyn FnMut(&Run, bool) -> Result<(), E>,
) -> Result<(), E> {
    let mut current = Run {
        start,
        ..Run::default()
    };
    while current.end() < end {
        let position = current.end();
        let found = extent_above(node, None, GuestOffset::new(position), end - position)
            .map_err(|error| error.prefixed("Could not read file metadata: "))?;
        let next = Run::new(position, &found)?;
        if next.length == 0 {
            break;
        }
        if current.length == 0 {
            current = next;
        } else if let Some(next) = current.absorb(next) {
            print(&current, false)?;
            current = next;
        }
    }
    print(&current, true)
}

#[cfg(test)]
mod tests;
