//! Random bytes for keys, salts and anti-forensic stripes.

use crate::base::{Error, Result};

/// Fills `bytes` from the operating system's generator.
pub fn fill(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|error| {
        Error::new(
            crate::base::Kind::Io,
            format!("Unable to read random bytes: {error}"),
        )
    })
}
