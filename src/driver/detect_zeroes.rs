//! `detect-zeroes`: data that is all zeros is written as zeros that need no space.

use super::forward::{forward_changes, forward_facts, forward_name, forward_reads};
use crate::base::{GuestOffset, Result};
use crate::node::{Node, SharedNode, ZeroFlags};

/// Looks at everything that is written to `inner`; to its user it looks like that image.
pub struct DetectZeroes {
    inner: SharedNode,
    flags: ZeroFlags,
}

impl DetectZeroes {
    /// Over a node; `flags` is how zeros are written.
    pub const fn new(inner: SharedNode, flags: ZeroFlags) -> Self {
        Self { inner, flags }
    }
}

fn all_zero(data: &[u8]) -> bool {
    !data.is_empty() && data.iter().all(|byte| *byte == 0)
}

impl Node for DetectZeroes {
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
        if all_zero(data) {
            return self.write_zeroes(offset, data.len() as u64, self.flags);
        }
        self.inner.write_at(offset, data)
    }

    fn write_at_in_place(&self, offset: GuestOffset, data: &mut [u8]) -> Result<()> {
        if all_zero(data) {
            return self.write_zeroes(offset, data.len() as u64, self.flags);
        }
        self.inner.write_at_in_place(offset, data)
    }

    fn write_compressed(&self, offset: GuestOffset, data: &[u8]) -> Result<()> {
        self.inner.write_compressed(offset, data)
    }

    fn write_vm_state(&self, position: u64, data: &[u8]) -> Result<()> {
        self.inner.write_vm_state(position, data)
    }

    fn write_zeroes(&self, offset: GuestOffset, length: u64, flags: ZeroFlags) -> Result<()> {
        self.inner.write_zeroes(offset, length, flags)
    }

    fn flush_write(&self) -> Result<()> {
        self.inner.flush_write()
    }
}
