//! Floor 2: ciphers, IV generators, key derivation, secrets. No I/O.

pub mod cipher;
pub mod secret;
