//! Names of ciphers, modes and IV generators, as options spell them and as LUKS headers do (luks1 §2).

use std::fmt;
use std::str::FromStr;

use crate::base::{Error, Result};

/// What the real tools say about a value that an enumerated option does not have.
pub(super) fn bad_value(parameter: &str, value: &str) -> Error {
    Error::caller(format!(
        "Parameter '{parameter}' does not accept value '{value}'"
    ))
}

/// A block cipher with its key length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CipherAlgorithm {
    /// AES, 16-byte key.
    Aes128,
    /// AES, 24-byte key.
    Aes192,
    /// AES, 32-byte key: the default.
    #[default]
    Aes256,
    /// Serpent, 16-byte key.
    Serpent128,
    /// Serpent, 24-byte key.
    Serpent192,
    /// Serpent, 32-byte key.
    Serpent256,
    /// Twofish, 16-byte key.
    Twofish128,
    /// Twofish, 24-byte key.
    Twofish192,
    /// Twofish, 32-byte key.
    Twofish256,
    /// CAST5, 16-byte key, 8-byte blocks.
    Cast5,
}

/// A family of ciphers: one algorithm, several key lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CipherFamily {
    /// AES.
    Aes,
    /// Serpent.
    Serpent,
    /// Twofish.
    Twofish,
    /// CAST5.
    Cast5,
}

impl CipherFamily {
    /// The name in a LUKS header.
    pub const fn luks_name(self) -> &'static str {
        match self {
            Self::Aes => "aes",
            Self::Serpent => "serpent",
            Self::Twofish => "twofish",
            Self::Cast5 => "cast5",
        }
    }

    /// The name in messages about ESSIV.
    const fn display_name(self) -> &'static str {
        match self {
            Self::Aes => "AES",
            Self::Serpent => "Serpent",
            Self::Twofish => "Twofish",
            Self::Cast5 => "Cast5",
        }
    }

    /// The family that a LUKS header names.
    pub fn from_luks_name(name: &str) -> Option<Self> {
        [Self::Aes, Self::Serpent, Self::Twofish, Self::Cast5]
            .into_iter()
            .find(|family| family.luks_name() == name)
    }
}

impl CipherAlgorithm {
    /// Every algorithm built here.
    pub const ALL: [Self; 10] = [
        Self::Aes128,
        Self::Aes192,
        Self::Aes256,
        Self::Serpent128,
        Self::Serpent192,
        Self::Serpent256,
        Self::Twofish128,
        Self::Twofish192,
        Self::Twofish256,
        Self::Cast5,
    ];

    /// The name in options and in `info`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes128 => "aes-128",
            Self::Aes192 => "aes-192",
            Self::Aes256 => "aes-256",
            Self::Serpent128 => "serpent-128",
            Self::Serpent192 => "serpent-192",
            Self::Serpent256 => "serpent-256",
            Self::Twofish128 => "twofish-128",
            Self::Twofish192 => "twofish-192",
            Self::Twofish256 => "twofish-256",
            Self::Cast5 => "cast5-128",
        }
    }

    /// Its family.
    pub const fn family(self) -> CipherFamily {
        match self {
            Self::Aes128 | Self::Aes192 | Self::Aes256 => CipherFamily::Aes,
            Self::Serpent128 | Self::Serpent192 | Self::Serpent256 => CipherFamily::Serpent,
            Self::Twofish128 | Self::Twofish192 | Self::Twofish256 => CipherFamily::Twofish,
            Self::Cast5 => CipherFamily::Cast5,
        }
    }

    /// Bytes of one key (XTS uses two).
    pub const fn key_bytes(self) -> usize {
        match self {
            Self::Aes128 | Self::Serpent128 | Self::Twofish128 | Self::Cast5 => 16,
            Self::Aes192 | Self::Serpent192 | Self::Twofish192 => 24,
            Self::Aes256 | Self::Serpent256 | Self::Twofish256 => 32,
        }
    }

    /// Bytes of one block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::Cast5 => 8,
            _ => 16,
        }
    }

    /// The member of a family with keys of `key_bytes` bytes.
    pub fn with_key_bytes(family: CipherFamily, key_bytes: usize) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|one| one.family() == family && one.key_bytes() == key_bytes)
    }

    /// The cipher of ESSIV's IVs: same family, key as long as the hash's digest (luks1 §2).
    pub fn essiv_cipher(self, digest_bytes: usize) -> Result<Self> {
        let found = Self::with_key_bytes(self.family(), digest_bytes);
        found.ok_or_else(|| {
            Error::unsupported(match self {
                Self::Cast5 => "Cipher cast5-128 not supported with essiv".to_owned(),
                _ => format!(
                    "No {} cipher with key size {digest_bytes} available",
                    self.family().display_name()
                ),
            })
        })
    }
}

impl FromStr for CipherAlgorithm {
    type Err = Error;

    fn from_str(value: &str) -> Result<Self> {
        if let Some(found) = Self::ALL.into_iter().find(|one| one.name() == value) {
            return Ok(found);
        }
        // Names that the option has, of ciphers that the real tools are built without.
        if matches!(value, "des" | "3des" | "sm4") {
            return Err(Error::unsupported(format!(
                "Algorithm '{value}' not supported"
            )));
        }
        Err(bad_value("cipher-alg", value))
    }
}

impl fmt::Display for CipherAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How blocks are chained inside a sector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CipherMode {
    /// No chaining, no IV.
    Ecb,
    /// Cipher block chaining.
    Cbc,
    /// Counter mode.
    Ctr,
    /// XEX with ciphertext stealing (never needed: sectors are whole blocks).
    #[default]
    Xts,
}

impl CipherMode {
    /// Every mode.
    pub const ALL: [Self; 4] = [Self::Ecb, Self::Cbc, Self::Ctr, Self::Xts];

    /// The name in options, in `info` and in LUKS headers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ecb => "ecb",
            Self::Cbc => "cbc",
            Self::Ctr => "ctr",
            Self::Xts => "xts",
        }
    }

    /// The mode with that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// How many cipher keys the master key holds.
    pub const fn key_count(self) -> usize {
        match self {
            Self::Xts => 2,
            _ => 1,
        }
    }
}

impl FromStr for CipherMode {
    type Err = Error;

    fn from_str(value: &str) -> Result<Self> {
        Self::from_name(value).ok_or_else(|| bad_value("cipher-mode", value))
    }
}

impl fmt::Display for CipherMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a sector's number becomes its initialization vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IvAlgorithm {
    /// The low 32 bits of the number: repeats every 2 TiB.
    Plain,
    /// The number.
    #[default]
    Plain64,
    /// The number, encrypted with a key made from the key.
    Essiv,
}

impl IvAlgorithm {
    /// Every generator.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Plain64, Self::Essiv];

    /// The name in options, in `info` and in LUKS headers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Plain64 => "plain64",
            Self::Essiv => "essiv",
        }
    }

    /// The generator with that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

impl FromStr for IvAlgorithm {
    type Err = Error;

    fn from_str(value: &str) -> Result<Self> {
        Self::from_name(value).ok_or_else(|| bad_value("ivgen-alg", value))
    }
}

impl fmt::Display for IvAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
