//! A disk that is not there: reads give zeros (or whatever was in the buffer), writes vanish.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::base::{GuestOffset, Result};
use crate::node::{Extent, Node, Preallocation, ZeroFlags};

/// The length when none is given, in bytes.
const DEFAULT_LENGTH: u64 = 1 << 30;

/// `null-co` and `null-aio`.
#[derive(Debug)]
pub struct Null {
    driver: &'static str,
    filename: String,
    length: u64,
    read_zeroes: bool,
    writable: bool,
    /// What a request takes.
    latency: Duration,
    /// Written since the last flush.
    unflushed: AtomicBool,
}

impl Null {
    /// A null disk under one of its two names.
    pub fn new(
        driver: &'static str,
        filename: String,
        length: Option<u64>,
        read_zeroes: bool,
        writable: bool,
    ) -> Self {
        Self {
            driver,
            filename,
            length: length.unwrap_or(DEFAULT_LENGTH),
            read_zeroes,
            writable,
            latency: Duration::ZERO,
            unflushed: AtomicBool::new(false),
        }
    }

    /// The same disk, whose requests take that long (`latency-ns`).
    #[must_use]
    pub const fn with_latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    fn take_time(&self) {
        if !self.latency.is_zero() {
            std::thread::sleep(self.latency);
        }
    }

    fn note_write(&self) {
        self.unflushed.store(true, Ordering::Release);
        self.take_time();
    }
}

impl Node for Null {
    fn driver(&self) -> &'static str {
        self.driver
    }

    fn filename(&self) -> String {
        self.filename.clone()
    }

    fn writable(&self) -> bool {
        self.writable
    }

    fn length(&self) -> Result<u64> {
        Ok(self.length)
    }

    fn read_at(&self, _offset: GuestOffset, buffer: &mut [u8]) -> Result<()> {
        self.take_time();
        // Without `read-zeroes` the content is undefined: the buffer stays as it is.
        if self.read_zeroes {
            buffer.fill(0);
        }
        Ok(())
    }

    fn write_at(&self, _offset: GuestOffset, _data: &[u8]) -> Result<()> {
        self.note_write();
        Ok(())
    }

    fn write_zeroes(&self, _offset: GuestOffset, _length: u64, _flags: ZeroFlags) -> Result<()> {
        self.note_write();
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        // Nothing happens when nothing was written since.
        if self.unflushed.swap(false, Ordering::AcqRel) {
            self.take_time();
        }
        Ok(())
    }

    fn resize(&self, _length: u64, _preallocation: Preallocation) -> Result<()> {
        Err(crate::base::Error::unsupported(
            "Image format driver does not support resize",
        ))
    }

    fn extent(&self, offset: GuestOffset, length: u64) -> Result<Extent> {
        let end = self.length.next_multiple_of(512);
        let length = length.min(end.saturating_sub(offset.bytes()));
        if !self.read_zeroes {
            return Ok(Extent {
                length,
                undefined: true,
                ..Extent::default()
            });
        }
        Ok(Extent {
            length,
            zero: true,
            allocated: true,
            host: Some(crate::base::HostOffset::new(offset.bytes())),
            ..Extent::default()
        })
    }

    fn allocated_bytes(&self) -> Option<u64> {
        Some(0)
    }

    fn close(&self) -> Result<()> {
        self.flush()
    }
}

#[cfg(test)]
mod tests;
