//! How a cluster is compressed. Contexts are kept for each thread: making one costs more than a cluster does.

use std::fmt;

use super::{deflate, zstd_frame};
use crate::base::Result;

/// The compression of an image's clusters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Raw deflate with a window of 4 KiB: qcow v1, and qcow2's compression type 0 (`zlib`).
    #[default]
    Deflate,
    /// A zstd frame: qcow2's compression type 1.
    Zstd,
}

impl Compression {
    /// The name of qcow2's `compression_type` option.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deflate => "zlib",
            Self::Zstd => "zstd",
        }
    }

    /// The compression with that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Deflate, Self::Zstd]
            .into_iter()
            .find(|one| one.name() == name)
    }

    /// Replaces what is in `out` by `data` compressed; false when that does not take fewer than `data.len()` bytes, in
    /// which case `out` is empty and the caller stores the data as it is.
    pub fn compress(self, data: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        match self {
            Self::Deflate => deflate::compress(data, out),
            Self::Zstd => zstd_frame::compress(data, out),
        }
    }

    /// Fills `out` from `data`, which may go on behind the compressed bytes (sector padding). EIO when `data` does
    /// not decompress or gives fewer bytes. Never more memory than the window that the format allows.
    pub fn decompress(self, data: &[u8], out: &mut [u8]) -> Result<()> {
        match self {
            Self::Deflate => deflate::decompress(data, out),
            Self::Zstd => zstd_frame::decompress(data, out),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
