//! The one door through which every initialization vector passes.

use std::sync::Arc;

use crate::base::IvSector;

/// Which way a run of sectors went through the cipher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Plaintext became ciphertext: the direction in which reuse leaks.
    Encrypt,
    /// Ciphertext became plaintext.
    Decrypt,
}

/// Somebody who watches the door: tests and the auditor.
pub trait IvObserver: Send + Sync {
    /// `sectors` consecutive sectors from `first` passed in `direction`.
    fn passed(&self, direction: Direction, first: IvSector, sectors: u64);
}

/// A cipher with its IV generator, for whole runs of 512-byte sectors, in place.
///
/// `data.len()` must be a multiple of 512; sector `i` of the run uses `first.step(i)`.
pub trait SectorCipher: Send + Sync {
    /// Encrypts in place.
    fn encrypt(&self, first: IvSector, data: &mut [u8]);
    /// Decrypts in place.
    fn decrypt(&self, first: IvSector, data: &mut [u8]);
}

/// A shared cipher, as drivers hold it.
pub type SharedCipher = Arc<dyn SectorCipher>;
