//! The node: everything that moves data waits for its turn.

use std::sync::Arc;

use super::bucket::Group;
use crate::base::{GuestOffset, Result};
use crate::driver::forward::{forward_facts, forward_name};
use crate::node::{Extent, Node, Preallocation, SharedNode, ZeroFlags};

/// `throttle` over another node.
pub struct Throttle {
    inner: SharedNode,
    group: Arc<Group>,
}

impl Throttle {
    /// Over a node, with the limits of `group`.
    pub const fn new(inner: SharedNode, group: Arc<Group>) -> Self {
        Self { inner, group }
    }
}

impl Node for Throttle {
    forward_facts!();
    forward_name!();

    fn driver(&self) -> &'static str {
        self.inner.driver()
    }

    fn file(&self) -> Option<SharedNode> {
        self.inner.file()
    }

    fn read_at(&self, offset: GuestOffset, buffer: &mut [u8]) -> Result<()> {
        self.group.wait(buffer.len() as u64, false);
        self.inner.read_at(offset, buffer)
    }

    fn write_at(&self, offset: GuestOffset, data: &[u8]) -> Result<()> {
        self.group.wait(data.len() as u64, true);
        self.inner.write_at(offset, data)
    }

    fn write_at_in_place(&self, offset: GuestOffset, data: &mut [u8]) -> Result<()> {
        self.group.wait(data.len() as u64, true);
        self.inner.write_at_in_place(offset, data)
    }

    fn write_compressed(&self, offset: GuestOffset, data: &[u8]) -> Result<()> {
        self.group.wait(data.len() as u64, true);
        self.inner.write_compressed(offset, data)
    }

    fn write_zeroes(&self, offset: GuestOffset, length: u64, flags: ZeroFlags) -> Result<()> {
        self.group.wait(length, true);
        self.inner.write_zeroes(offset, length, flags)
    }

    fn discard(&self, offset: GuestOffset, length: u64) -> Result<()> {
        self.group.wait(length, true);
        self.inner.discard(offset, length)
    }

    fn flush(&self) -> Result<()> {
        self.inner.flush()
    }

    fn flush_write(&self) -> Result<()> {
        self.inner.flush_write()
    }

    fn resize(&self, length: u64, preallocation: Preallocation) -> Result<()> {
        self.inner.resize(length, preallocation)
    }

    fn extent(&self, offset: GuestOffset, length: u64) -> Result<Extent> {
        self.inner.extent(offset, length)
    }

    fn read_vm_state(&self, position: u64, buffer: &mut [u8]) -> Result<()> {
        self.inner.read_vm_state(position, buffer)
    }

    fn write_vm_state(&self, position: u64, data: &[u8]) -> Result<()> {
        self.inner.write_vm_state(position, data)
    }
}
