//! Floor 2: ciphers, IV generators, key derivation, secrets. No I/O.

pub mod afsplit;
pub mod algorithm;
mod block_run;
mod cbc;
pub mod cipher;
mod ctr;
pub mod hash;
pub mod ivgen;
pub mod kdf;
pub mod random;
mod run_cipher;
pub mod secret;
mod secret_decode;
mod xts;

pub use algorithm::{CipherAlgorithm, CipherMode, IvAlgorithm};
pub use hash::HashAlgorithm;
pub use run_cipher::{CipherSuite, legacy_aes};
