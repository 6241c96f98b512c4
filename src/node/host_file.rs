//! A node seen from the format above it: the only place where host offsets become guest offsets.

use super::{DebugEvent, Preallocation, SharedNode, ZeroFlags};
use crate::base::{GuestOffset, HostOffset, Result};

/// The file that stores an image, addressed by [`HostOffset`].
#[derive(Clone, Debug)]
pub struct HostFile(SharedNode);

const fn below(offset: HostOffset) -> GuestOffset {
    GuestOffset::new(offset.bytes())
}

impl HostFile {
    /// Wraps the node that stores the image.
    pub const fn new(node: SharedNode) -> Self {
        Self(node)
    }

    /// The node itself, for `info` and the option tree.
    pub fn node(&self) -> SharedNode {
        SharedNode::clone(&self.0)
    }

    /// The name that messages show.
    pub fn filename(&self) -> String {
        self.0.filename()
    }

    /// Length in bytes.
    pub fn length(&self) -> Result<u64> {
        self.0.length()
    }

    /// Whether writes are allowed.
    pub fn writable(&self) -> bool {
        self.0.writable()
    }

    /// Fills `buffer`; bytes past the end of the file are zeros.
    pub fn read_at(&self, offset: HostOffset, buffer: &mut [u8]) -> Result<()> {
        self.0.read_at(below(offset), buffer)
    }

    /// Reads `length` bytes into a new buffer. The caller has capped `length`.
    pub fn read_vec(&self, offset: HostOffset, length: usize) -> Result<Vec<u8>> {
        let mut buffer = vec![0; length];
        self.read_at(offset, &mut buffer)?;
        Ok(buffer)
    }

    /// Writes; the file grows when needed.
    pub fn write_at(&self, offset: HostOffset, data: &[u8]) -> Result<()> {
        self.0.write_at(below(offset), data)
    }

    /// Writes from a buffer that the node below may scribble on.
    pub fn write_at_in_place(&self, offset: HostOffset, data: &mut [u8]) -> Result<()> {
        self.0.write_at_in_place(below(offset), data)
    }

    /// Makes a range read as zeros; the file grows when needed.
    pub fn write_zeroes(&self, offset: HostOffset, length: u64, flags: ZeroFlags) -> Result<()> {
        self.0.write_zeroes(below(offset), length, flags)
    }

    /// Punches a range out.
    pub fn discard(&self, offset: HostOffset, length: u64) -> Result<()> {
        self.0.discard(below(offset), length)
    }

    /// Makes everything written so far durable.
    pub fn flush(&self) -> Result<()> {
        self.0.flush()
    }

    /// Sets the file's length.
    pub fn resize(&self, length: u64, preallocation: Preallocation) -> Result<()> {
        self.0.resize(length, preallocation)
    }

    /// The status of a range of the file.
    pub fn extent(&self, offset: HostOffset, length: u64) -> Result<super::Extent> {
        self.0.extent(below(offset), length)
    }

    /// Tells the file that its user has reached `event`.
    pub fn debug_event(&self, event: DebugEvent) {
        self.0.debug_event(event);
    }

    /// Closes the node.
    pub fn close(&self) -> Result<()> {
        self.0.close()
    }
}
