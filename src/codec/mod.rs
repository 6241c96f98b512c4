//! Floor 2: zlib and zstd with capped output.

pub mod compression;
mod deflate;
mod zstd_frame;

pub use compression::Compression;
