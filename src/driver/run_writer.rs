//! Many small writes next to each other become few large ones.

use crate::base::{HostOffset, Result};
use crate::node::HostFile;

/// Bytes that are collected at most.
const CAPACITY: usize = 1 << 20;

/// Collects writes that continue each other. [`RunWriter::finish`] writes the last of them.
#[derive(Debug)]
pub struct RunWriter<'a> {
    file: &'a HostFile,
    start: HostOffset,
    pending: Vec<u8>,
}

impl<'a> RunWriter<'a> {
    /// Nothing collected yet.
    pub const fn new(file: &'a HostFile) -> Self {
        Self {
            file,
            start: HostOffset::ZERO,
            pending: Vec::new(),
        }
    }

    /// Writes `data` at `offset`, now or later. Writes reach the file in the order of the calls.
    pub fn write(&mut self, offset: HostOffset, data: &[u8]) -> Result<()> {
        let end = self.start.plus(self.pending.len() as u64)?;
        if end != offset || self.pending.len() + data.len() > CAPACITY {
            self.flush()?;
            self.start = offset;
        }
        if data.len() >= CAPACITY {
            self.start = offset.plus(data.len() as u64)?;
            return self.file.write_at(offset, data);
        }
        self.pending.extend_from_slice(data);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if !self.pending.is_empty() {
            self.file.write_at(self.start, &self.pending)?;
            self.start = self.start.plus(self.pending.len() as u64)?;
            self.pending.clear();
        }
        Ok(())
    }

    /// Writes what is still collected.
    pub fn finish(mut self) -> Result<()> {
        self.flush()
    }
}

#[cfg(test)]
mod tests;
