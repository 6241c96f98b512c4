//! Floor 2: zlib and zstd with capped output.
