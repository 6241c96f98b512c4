//! The one implementation of [`SectorCipher`]: every initialization vector of the product is made behind it.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::algorithm::{CipherAlgorithm, CipherMode, IvAlgorithm};
use super::block_run::{BlockRun, block_cipher};
use super::cipher::{Direction, IvObserver, SectorCipher, SharedCipher};
use super::hash::HashAlgorithm;
use super::ivgen::{self, IvGenerator};
use super::secret::Secret;
use super::xts::Xts;
use super::{cbc, ctr};
use crate::base::iv_sector::SECTOR_SIZE;
use crate::base::{Error, IvSector, Result};

/// Everything about a sector cipher but its key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CipherSuite {
    /// The block cipher.
    pub algorithm: CipherAlgorithm,
    /// How blocks are chained.
    pub mode: CipherMode,
    /// How a sector's number becomes its IV.
    pub iv: IvAlgorithm,
    /// The hash of ESSIV; other generators ignore it.
    pub iv_hash: Option<HashAlgorithm>,
}

impl CipherSuite {
    /// Bytes of the whole key: two cipher keys for XTS.
    pub const fn key_bytes(&self) -> usize {
        self.algorithm.key_bytes() * self.mode.key_count()
    }

    /// Finds out whether the combination is possible, without a key.
    pub fn validate(&self) -> Result<()> {
        // In the real tool's order: it is the generator that is complained about when both are wrong.
        ivgen::validate(self.iv, self.iv_hash, self.algorithm)?;
        if self.mode == CipherMode::Xts && self.algorithm.block_bytes() != 16 {
            return Err(Error::unsupported("Unsupported cipher mode xts"));
        }
        Ok(())
    }

    /// The cipher, keyed. `observer` sees every run of sectors that passes.
    pub fn keyed(&self, key: &[u8], observer: Option<Arc<dyn IvObserver>>) -> Result<SharedCipher> {
        self.validate()?;
        if key.len() != self.key_bytes() {
            return Err(Error::caller(format!(
                "Cipher key length {} should be {}",
                key.len(),
                self.key_bytes()
            )));
        }
        let ivs = IvGenerator::new(self.iv, self.iv_hash, self.algorithm, key)?;
        let chaining = match self.mode {
            CipherMode::Xts => {
                let (data, tweak) = key.split_at(self.algorithm.key_bytes());
                Chaining::Xts(Xts {
                    data: block_cipher(self.algorithm, data)?,
                    tweak: block_cipher(self.algorithm, tweak)?,
                })
            }
            CipherMode::Ecb => Chaining::Ecb(block_cipher(self.algorithm, key)?),
            CipherMode::Cbc => Chaining::Cbc(block_cipher(self.algorithm, key)?),
            CipherMode::Ctr => Chaining::Ctr(block_cipher(self.algorithm, key)?),
        };
        Ok(Arc::new(RunCipher {
            chaining,
            block_bytes: self.algorithm.block_bytes(),
            ivs,
            observer,
        }))
    }
}

/// The cipher of qcow v1 and of `encrypt.format=aes`: AES-128-CBC, plain64, the key is the first 16 bytes of the
/// password, zero padded (luks1 §6).
pub fn legacy_aes(secret: &Secret, observer: Option<Arc<dyn IvObserver>>) -> Result<SharedCipher> {
    let mut key = Zeroizing::new([0; 16]);
    for (byte, given) in key.iter_mut().zip(secret.bytes()) {
        *byte = *given;
    }
    let suite = CipherSuite {
        algorithm: CipherAlgorithm::Aes128,
        mode: CipherMode::Cbc,
        iv: IvAlgorithm::Plain64,
        iv_hash: None,
    };
    suite.keyed(key.as_ref(), observer)
}

enum Chaining {
    Ecb(Box<dyn BlockRun>),
    Cbc(Box<dyn BlockRun>),
    Ctr(Box<dyn BlockRun>),
    Xts(Xts),
}

struct RunCipher {
    chaining: Chaining,
    block_bytes: usize,
    ivs: IvGenerator,
    observer: Option<Arc<dyn IvObserver>>,
}

impl RunCipher {
    /// Where IVs are watched: nothing below this line asks for one before it was reported here.
    fn report(&self, direction: Direction, first: IvSector, data: &[u8]) {
        debug_assert!(
            data.len().is_multiple_of(SECTOR_SIZE),
            "runs are whole sectors"
        );
        if let Some(observer) = &self.observer {
            observer.passed(direction, first, (data.len() / SECTOR_SIZE) as u64);
        }
    }
}

impl SectorCipher for RunCipher {
    fn encrypt(&self, first: IvSector, data: &mut [u8]) {
        self.report(Direction::Encrypt, first, data);
        match &self.chaining {
            Chaining::Ecb(cipher) => cipher.encrypt_run(data),
            Chaining::Cbc(cipher) if self.block_bytes == 8 => {
                cbc::encrypt::<8>(cipher.as_ref(), &self.ivs, first, data);
            }
            Chaining::Cbc(cipher) => {
                cbc::encrypt::<16>(cipher.as_ref(), &self.ivs, first, data);
            }
            Chaining::Ctr(cipher) => {
                ctr::apply(cipher.as_ref(), self.block_bytes, &self.ivs, first, data);
            }
            Chaining::Xts(xts) => xts.encrypt(&self.ivs, first, data),
        }
    }

    fn decrypt(&self, first: IvSector, data: &mut [u8]) {
        self.report(Direction::Decrypt, first, data);
        match &self.chaining {
            Chaining::Ecb(cipher) => cipher.decrypt_run(data),
            Chaining::Cbc(cipher) if self.block_bytes == 8 => {
                cbc::decrypt::<8>(cipher.as_ref(), &self.ivs, first, data);
            }
            Chaining::Cbc(cipher) => {
                cbc::decrypt::<16>(cipher.as_ref(), &self.ivs, first, data);
            }
            Chaining::Ctr(cipher) => {
                ctr::apply(cipher.as_ref(), self.block_bytes, &self.ivs, first, data);
            }
            Chaining::Xts(xts) => xts.decrypt(&self.ivs, first, data),
        }
    }
}

#[cfg(test)]
mod tests;
