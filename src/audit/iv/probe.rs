//! One sector: in clear, or under which number.

use super::Domain;
use super::report::Made;
use crate::audit::sectors::is_blank;
use crate::base::iv_sector::SECTOR_SIZE;
use crate::base::{HostOffset, IvSector};
use crate::crypto::cipher::SharedCipher;

/// The first block shows the IV in every mode that chains; longer blocks there are none.
const FIRST_BLOCK: usize = 16;
/// A sector written over and over with one byte, and a few times in parts, has no more stretches than this; what
/// comes out of a wrong key or number has hundreds.
const STRETCHES_MAX: usize = 8;
/// Numbers that are tried when none of the known ones fits.
const NUMBERS_MAX: u64 = 1 << 20;
/// Sectors for which they are tried.
const SEARCHES: u32 = 4;

/// Tries numbers on sectors.
pub(super) struct Probe<'a> {
    cipher: &'a SharedCipher,
    numbers: u64,
    searches_left: u32,
}

impl<'a> Probe<'a> {
    /// For sectors of a file of that length.
    pub(super) fn new(cipher: &'a SharedCipher, file_length: u64) -> Self {
        Self {
            cipher,
            numbers: (file_length / SECTOR_SIZE as u64 + 1).min(NUMBERS_MAX),
            searches_left: SEARCHES,
        }
    }

    /// What made the sector, and the byte it was filled with.
    pub(super) fn sector(
        &mut self,
        sector: &[u8],
        candidates: &[(Domain, IvSector)],
    ) -> (Made, Option<u8>) {
        if let [(right, number), ..] = candidates
            && let Some(byte) = self.filling_under(sector, *number)
        {
            return (Made::Under(*right), Some(byte));
        }
        if is_blank(sector) {
            return (Made::NeverWritten, None);
        }
        if let Some(byte) = filling(sector) {
            return (Made::InClear, Some(byte));
        }
        for (domain, number) in candidates {
            if let Some(byte) = self.filling_under(sector, *number) {
                return (Made::Under(*domain), Some(byte));
            }
        }
        (Made::Unknown(self.search(sector)), None)
    }

    fn filling_under(&self, sector: &[u8], number: IvSector) -> Option<u8> {
        let mut plain = [0; SECTOR_SIZE];
        plain.get_mut(..sector.len())?.copy_from_slice(sector);
        self.cipher.decrypt(number, &mut plain);
        filling(&plain)
    }

    /// Any number of a sector of the file.
    fn search(&mut self, sector: &[u8]) -> Option<u64> {
        self.searches_left = self.searches_left.checked_sub(1)?;
        (0..self.numbers).find(|number| {
            let place = HostOffset::new(number * SECTOR_SIZE as u64);
            self.filling_under(sector, IvSector::from_host(place))
                .is_some()
        })
    }
}

/// The byte that a sector was filled with: its first block is nothing else, and all of it has a few stretches.
fn filling(sector: &[u8]) -> Option<u8> {
    let (first, _) = sector.split_at_checked(FIRST_BLOCK)?;
    let byte = *first.first()?;
    let stretches = 1 + sector.windows(2).filter(|pair| pair[0] != pair[1]).count();
    (first.iter().all(|other| *other == byte) && stretches <= STRETCHES_MAX).then_some(byte)
}
