//! The options of a new volume (luks1 §7).

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
                self.iter_time_ms = parse_number(value).ok_or_else(|| {
                    Error::caller(format!("Parameter '{prefix}{name}' expects a number"))
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

/// A number as options take them: decimal, `0x…`, or octal with a leading zero; a sign is allowed.
pub(super) fn parse_number(value: &str) -> Option<i64> {
    let (negative, digits) = match value.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, value.strip_prefix('+').unwrap_or(value)),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let hexadecimal = digits.strip_prefix("0x").or(digits.strip_prefix("0X"));
    let number = match hexadecimal {
        Some(rest) => i64::from_str_radix(rest, 16),
        None if digits.len() > 1 && digits.starts_with('0') => i64::from_str_radix(digits, 8),
        None => digits.parse(),
    };
    number
        .ok()
        .map(|number| if negative { -number } else { number })
}
