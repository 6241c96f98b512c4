//! Cache mode `writethrough`: a write has reached the disk, with everything needed to find it, when it returns.

use std::sync::OnceLock;

use super::forward::{forward_changes, forward_facts, forward_name, forward_reads};
use crate::base::{GuestOffset, Result};
use crate::node::{Node, SharedNode, ZeroFlags};

/// A flush behind every write to `inner`; to its user it looks like that image.
pub struct Writethrough {
    inner: SharedNode,
    /// Whether a flush goes through `inner` itself: asked at the first write, as asking costs more than a small write.
    through: OnceLock<bool>,
}

impl Writethrough {
    /// Over a node.
    pub const fn new(inner: SharedNode) -> Self {
        Self {
            inner,
            through: OnceLock::new(),
        }
    }

    /// Formats with tables of their own write these; elsewhere the host file alone is flushed, as a write with
    /// that request of its own would do.
    fn after_write(&self) -> Result<()> {
        let through = if let Some(through) = self.through.get() {
            *through
        } else {
            let logged = self.inner.driver() == "blklogwrites";
            // An image that the write has just found corrupt tells nothing any more: its format has tables.
            let tables = || match self.inner.info() {
                Ok(info) => info.cluster_size.is_some(),
                Err(_) => true,
            };
            *self.through.get_or_init(|| logged || tables())
        };
        if through {
            return self.inner.flush_write();
        }
        let mut bottom = SharedNode::clone(&self.inner);
        while let Some(below) = bottom.file() {
            bottom = below;
        }
        bottom.flush()
    }
}

impl Node for Writethrough {
    forward_facts!();
    forward_name!();
    forward_reads!();
    forward_changes!();

    fn driver(&self) -> &'static str {
        self.inner.driver()
    }

    fn file(&self) -> Option<SharedNode> {
        self.inner.file()
    }

    fn write_at(&self, offset: GuestOffset, data: &[u8]) -> Result<()> {
        self.inner.write_at(offset, data)?;
        self.after_write()
    }

    fn write_at_in_place(&self, offset: GuestOffset, data: &mut [u8]) -> Result<()> {
        self.inner.write_at_in_place(offset, data)?;
        self.after_write()
    }

    fn write_compressed(&self, offset: GuestOffset, data: &[u8]) -> Result<()> {
        // The real tool does not flush behind these.
        self.inner.write_compressed(offset, data)
    }

    fn write_vm_state(&self, position: u64, data: &[u8]) -> Result<()> {
        self.inner.write_vm_state(position, data)?;
        self.inner.flush()
    }

    /// Done already.
    fn flush_write(&self) -> Result<()> {
        Ok(())
    }

    fn write_zeroes(&self, offset: GuestOffset, length: u64, flags: ZeroFlags) -> Result<()> {
        self.inner.write_zeroes(offset, length, flags)?;
        self.after_write()
    }
}
