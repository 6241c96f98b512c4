//! From sector numbers to initialization vectors, many at a time (luks1 §2).

use super::algorithm::{CipherAlgorithm, IvAlgorithm};
use super::block_run::{BlockRun, block_cipher};
use super::hash::HashAlgorithm;
use crate::base::{Error, IvSector, Result};
use zeroize::Zeroizing;

/// An IV generator with its key, for one block length.
pub(super) struct IvGenerator {
    block_bytes: usize,
    kind: Kind,
}

enum Kind {
    Plain,
    Plain64,
    Essiv(Box<dyn BlockRun>),
}

/// Finds out whether the combination is possible, without a key.
pub fn validate(
    algorithm: IvAlgorithm,
    hash: Option<HashAlgorithm>,
    cipher: CipherAlgorithm,
) -> Result<()> {
    if algorithm == IvAlgorithm::Essiv {
        let hash = hash.ok_or_else(missing_hash)?;
        cipher.essiv_cipher(hash.digest_bytes())?;
    }
    Ok(())
}

fn missing_hash() -> Error {
    Error::invalid("Missing IV generator hash specification")
}

impl IvGenerator {
    /// `key` is the whole key of the sector cipher (both halves for XTS): ESSIV hashes it.
    pub(super) fn new(
        algorithm: IvAlgorithm,
        hash: Option<HashAlgorithm>,
        cipher: CipherAlgorithm,
        key: &[u8],
    ) -> Result<Self> {
        let kind = match algorithm {
            IvAlgorithm::Plain => Kind::Plain,
            IvAlgorithm::Plain64 => Kind::Plain64,
            IvAlgorithm::Essiv => {
                let hash = hash.ok_or_else(missing_hash)?;
                let essiv_cipher = cipher.essiv_cipher(hash.digest_bytes())?;
                let essiv_key = Zeroizing::new(hash.digest(&[key]));
                Kind::Essiv(block_cipher(essiv_cipher, &essiv_key)?)
            }
        };
        Ok(Self {
            block_bytes: cipher.block_bytes(),
            kind,
        })
    }

    /// Fills `ivs` with the IVs of consecutive sectors from `first`, one block each.
    pub(super) fn fill(&self, first: IvSector, ivs: &mut [u8]) {
        for (iv, step) in ivs.chunks_exact_mut(self.block_bytes).zip(0..) {
            let number = first.step(step).number();
            let number = match self.kind {
                Kind::Plain => number & u64::from(u32::MAX),
                Kind::Plain64 | Kind::Essiv(_) => number,
            };
            iv.fill(0);
            iv[..8].copy_from_slice(&number.to_le_bytes());
        }
        if let Kind::Essiv(cipher) = &self.kind {
            cipher.encrypt_run(ivs);
        }
    }
}
