//! Which key an image has, as far as that shows without knowing it.

use std::collections::HashMap;

use super::sectors::BLOCK;
use crate::base::iv_sector::SECTOR_SIZE;
use crate::crypto::HashAlgorithm;
use crate::format::luks1::Header;

/// Guest bytes that are sampled together.
const GRANULE: u64 = 64 << 10;
/// Sectors that are remembered, about.
const SECTORS: u64 = 1 << 16;

/// The mark of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fingerprint {
    /// LUKS: a hash of the master key's digest and salt, equal exactly for equal headers.
    Luks {
        /// Short, hexadecimal.
        mark: String,
        /// As in the header.
        uuid: String,
    },
    /// Legacy AES: how some guest sectors begin.
    LegacyAes(SectorMarks),
}

/// By guest sector: the first ciphertext block, and where it lies in the file.
pub type SectorMarks = HashMap<u64, ([u8; BLOCK], u64)>;

impl Fingerprint {
    /// The mark of a LUKS header.
    pub fn of_luks(header: &Header) -> Self {
        let digest = HashAlgorithm::Sha256.digest(&[&header.digest, &header.digest_salt]);
        let mark = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
        Self::Luks {
            mark: mark.collect(),
            uuid: header.uuid_text(),
        }
    }
}

/// Chooses guest sectors such that the choices of two images overlap, whatever their sizes.
#[derive(Clone, Copy, Debug)]
pub struct Chooser {
    mask: u64,
}

impl Chooser {
    /// For an image with that many stored sectors.
    pub const fn new(sectors: u64) -> Self {
        let excess = sectors.div_ceil(SECTORS);
        let mask = if excess <= 1 {
            0
        } else {
            excess.next_power_of_two() - 1
        };
        Self { mask }
    }

    /// Whether the sectors around that guest offset are chosen. The choice of a larger image is a subset.
    pub const fn takes(&self, guest: u64) -> bool {
        // The low bits of the granules' numbers, well mixed.
        let mixed = (guest / GRANULE).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        mixed & self.mask == 0
    }
}

/// The number of the guest sector, by which images are compared.
pub const fn sector_of(guest: u64) -> u64 {
    guest / SECTOR_SIZE as u64
}

#[cfg(test)]
mod tests;
