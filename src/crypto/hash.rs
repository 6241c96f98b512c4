//! The hash functions of LUKS headers (luks1 §2).

use std::fmt;
use std::str::FromStr;

use digest::Digest;

use super::algorithm::bad_value;
use crate::base::{Error, Result};

/// A hash function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HashAlgorithm {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256: the default.
    #[default]
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
    /// RIPEMD-160.
    Ripemd160,
    /// SM3.
    Sm3,
}

/// Runs `$body` with `$digest` as the RustCrypto type of a [`HashAlgorithm`].
macro_rules! with_digest {
    ($algorithm:expr, $digest:ident => $body:expr) => {
        match $algorithm {
            $crate::crypto::HashAlgorithm::Md5 => {
                type $digest = md5::Md5;
                $body
            }
            $crate::crypto::HashAlgorithm::Sha1 => {
                type $digest = sha1::Sha1;
                $body
            }
            $crate::crypto::HashAlgorithm::Sha224 => {
                type $digest = sha2::Sha224;
                $body
            }
            $crate::crypto::HashAlgorithm::Sha256 => {
                type $digest = sha2::Sha256;
                $body
            }
            $crate::crypto::HashAlgorithm::Sha384 => {
                type $digest = sha2::Sha384;
                $body
            }
            $crate::crypto::HashAlgorithm::Sha512 => {
                type $digest = sha2::Sha512;
                $body
            }
            $crate::crypto::HashAlgorithm::Ripemd160 => {
                type $digest = ripemd::Ripemd160;
                $body
            }
            $crate::crypto::HashAlgorithm::Sm3 => {
                type $digest = sm3::Sm3;
                $body
            }
        }
    };
}
pub(super) use with_digest;

impl HashAlgorithm {
    /// Every hash function.
    pub const ALL: [Self; 8] = [
        Self::Md5,
        Self::Sha1,
        Self::Sha224,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
        Self::Ripemd160,
        Self::Sm3,
    ];

    /// The name in options, in `info` and in LUKS headers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha224 => "sha224",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
            Self::Ripemd160 => "ripemd160",
            Self::Sm3 => "sm3",
        }
    }

    /// The hash function with that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// The value of an option: `parameter` is the one to name when it is wrong (`hash-alg`, `ivgen-hash-alg`).
    pub fn from_option(parameter: &str, value: &str) -> Result<Self> {
        Self::from_name(value).ok_or_else(|| bad_value(parameter, value))
    }

    /// Bytes of a digest.
    pub fn digest_bytes(self) -> usize {
        with_digest!(self, D => <D as Digest>::output_size())
    }

    /// The digest of several pieces, as if they were one.
    pub fn digest(self, pieces: &[&[u8]]) -> Vec<u8> {
        with_digest!(self, D => {
            let mut state = D::new();
            for piece in pieces {
                Digest::update(&mut state, piece);
            }
            state.finalize().to_vec()
        })
    }
}

impl FromStr for HashAlgorithm {
    type Err = Error;

    fn from_str(value: &str) -> Result<Self> {
        Self::from_option("hash-alg", value)
    }
}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
