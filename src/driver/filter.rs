//! Filters that show up as nodes of their own: what they do is done by the node that they wrap.

use super::forward::{forward_changes, forward_facts, forward_reads, forward_writes};
use crate::base::{GuestOffset, Result};
use crate::node::{ImageInfo, Node, SharedNode};

/// A node with a driver's name over another; `preallocate` is nothing but that: what the real one reserves while it
/// writes, it gives back when it is closed.
pub struct Filter {
    driver: &'static str,
    filename: String,
    inner: SharedNode,
    child: SharedNode,
}

impl Filter {
    /// `inner` does the work, `child` is the node that the filter is put over.
    pub const fn new(
        driver: &'static str,
        filename: String,
        inner: SharedNode,
        child: SharedNode,
    ) -> Self {
        Self {
            driver,
            filename,
            inner,
            child,
        }
    }
}

impl Node for Filter {
    forward_facts!();
    forward_reads!();
    forward_changes!();
    forward_writes!();

    fn driver(&self) -> &'static str {
        self.driver
    }

    fn filename(&self) -> String {
        self.filename.clone()
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
        Some(SharedNode::clone(&self.child))
    }
}
