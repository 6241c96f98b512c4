//! What lies at a range of a node.

use super::{Node, SharedNode};
use crate::base::{GuestOffset, HostOffset, Result};

/// A run of bytes with one status.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts that map and convert combine freely"
)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Bytes from the queried offset.
    pub length: u64,
    /// There may be non-zero bytes to read at this layer.
    pub data: bool,
    /// Reads as zeros.
    pub zero: bool,
    /// This layer decides the content; otherwise the backing node does (zeros when there is none).
    pub allocated: bool,
    /// Nobody knows what is read here (a null disk).
    pub undefined: bool,
    /// Stored compressed.
    pub compressed: bool,
    /// Where the bytes lie in [`Node::data_file`] or else [`Node::file`], when they lie there as they are.
    pub host: Option<HostOffset>,
}

/// An extent of a chain: which layer answers.
#[derive(Clone, Debug)]
pub struct ChainExtent {
    /// The extent, as the answering layer gave it (`zero` is set where no layer has the range).
    pub extent: Extent,
    /// 0 for the top node, 1 for its backing node …; the depth asked last when nobody answers.
    pub depth: usize,
    /// The node that answers.
    pub node: SharedNode,
    /// Past the end of a shorter backing node: where the layer above it keeps a place for the range, if it does.
    pub kept: Option<(HostOffset, SharedNode)>,
}

impl std::fmt::Debug for dyn Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.driver(), self.filename())
    }
}

/// The status at `offset` of `top` and everything below it, down to but not including `base`.
///
/// A range past the end of a shorter backing node reads as zeros and is reported at that node's depth.
pub fn extent_above(
    top: &SharedNode,
    base: Option<&SharedNode>,
    offset: GuestOffset,
    length: u64,
) -> Result<ChainExtent> {
    let mut node = SharedNode::clone(top);
    let mut depth = 0;
    let mut remaining = length;
    let mut kept = None;
    loop {
        let end = node.length()?;
        let available = end.saturating_sub(offset.bytes());
        if available == 0 && depth > 0 {
            let extent = Extent {
                length: remaining,
                zero: true,
                allocated: true,
                ..Extent::default()
            };
            return Ok(ChainExtent {
                extent,
                depth,
                node,
                kept,
            });
        }
        let mut extent = node.extent(offset, remaining.min(available))?;
        if extent.allocated {
            return Ok(ChainExtent {
                extent,
                depth,
                node,
                kept: None,
            });
        }
        remaining = extent.length;
        match node.backing() {
            Some(next) if !base.is_some_and(|base| SharedNode::ptr_eq(base, &next)) => {
                kept = extent.host.map(|host| (host, node));
                node = next;
                depth += 1;
            }
            Some(_) => {
                return Ok(ChainExtent {
                    extent,
                    depth,
                    node,
                    kept: None,
                });
            }
            None => {
                extent.zero = !extent.undefined;
                return Ok(ChainExtent {
                    extent,
                    depth,
                    node,
                    kept: None,
                });
            }
        }
    }
}
