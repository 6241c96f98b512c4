//! The options of a new volume (luks1 §7).

use crate::base::size::signed_number;
use crate::base::{Error, Result};
use crate::crypto::{CipherAlgorithm, CipherMode, CipherSuite, HashAlgorithm, IvAlgorithm};

/// What `create` is told about a LUKS volume; `None` and `Default` are the real tool's defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LuksCreateOptions {
    /// `cipher-alg`.
    pub cipher_algorithm: CipherAlgorithm,
    /// `cipher-mode`.
    pub cipher_mode: CipherMode,
    /// `ivgen-alg`.
    pub iv_algorithm: IvAlgorithm,
    /// `ivgen-hash-alg`: sha256 when not given and ESSIV needs one.
    pub iv_hash: Option<HashAlgorithm>,
    /// `hash-alg`.
    pub hash: HashAlgorithm,
    /// `iter-time`: how long unlocking shall take, in milliseconds.
    pub iter_time_ms: i64,
    /// The payload lies in another file: the header says offset 0 (luks1 §6).
    pub detached: bool,
}

impl Default for LuksCreateOptions {
    fn default() -> Self {
        Self {
            cipher_algorithm: CipherAlgorithm::default(),
            cipher_mode: CipherMode::default(),
            iv_algorithm: IvAlgorithm::default(),
            iv_hash: None,
            hash: HashAlgorithm::default(),
            iter_time_ms: 2000,
            detached: false,
        }
    }
}

impl LuksCreateOptions {
    /// Sets one option by its name without prefix; false when a LUKS volume has no such option.
    ///
    /// `prefix` (`""` or `"encrypt."`) shows in the message about a bad number, as with the real tools; messages about
    /// bad names don't have it.
    pub fn set(&mut self, name: &str, value: &str, prefix: &str) -> Result<bool> {
        match name {
            "cipher-alg" => self.cipher_algorithm = value.parse()?,
            "cipher-mode" => self.cipher_mode = value.parse()?,
            "ivgen-alg" => self.iv_algorithm = value.parse()?,
            "ivgen-hash-alg" => self.iv_hash = Some(HashAlgorithm::from_option(name, value)?),
            "hash-alg" => self.hash = value.parse()?,
            "iter-time" => {
                self.iter_time_ms = signed_number(value).ok_or_else(|| {
                    Error::caller(format!("Parameter '{prefix}{name}' expects integer"))
                })?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The cipher that the volume will have.
    pub fn suite(&self) -> CipherSuite {
        let default_hash =
            (self.iv_algorithm == IvAlgorithm::Essiv).then_some(HashAlgorithm::Sha256);
        CipherSuite {
            algorithm: self.cipher_algorithm,
            mode: self.cipher_mode,
            iv: self.iv_algorithm,
            iv_hash: self.iv_hash.or(default_hash),
        }
    }
}
