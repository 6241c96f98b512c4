//! Floor 4: the drivers.

pub mod blkdebug;
pub mod blklogwrites;
pub mod blkverify;
pub mod compress;
pub mod copy_on_read;
pub mod detect_zeroes;
pub mod encryption;
pub mod file;
pub mod filter;
mod forward;
pub mod luks;
pub mod memory;
#[cfg(feature = "mutants")]
pub mod mutants;
pub mod null;
pub mod qcow1;
pub mod qcow2;
pub mod quorum;
pub mod raw;
#[cfg(test)]
mod recorder;
pub mod run_writer;
pub mod scratch;
pub mod throttle;
pub mod writethrough;
