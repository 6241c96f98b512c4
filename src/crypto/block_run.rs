//! A keyed block cipher behind one virtual call for a whole run of blocks.
//!
//! The call is made once for some kilobytes, so that its cost vanishes, and every mode is compiled once
//! instead of once for each cipher.

use cipher::array::Array;
use cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};

use super::algorithm::{CipherAlgorithm, CipherFamily};
use crate::base::{Error, Result};

/// Blocks independent of each other, in place. `data` is whole blocks.
pub(super) trait BlockRun: Send + Sync {
    fn encrypt_run(&self, data: &mut [u8]);
    fn decrypt_run(&self, data: &mut [u8]);
}

impl<C: BlockCipherEncrypt + BlockCipherDecrypt + Send + Sync> BlockRun for C {
    fn encrypt_run(&self, data: &mut [u8]) {
        let (blocks, _) = Array::slice_as_chunks_mut(data);
        self.encrypt_blocks(blocks);
    }

    fn decrypt_run(&self, data: &mut [u8]) {
        let (blocks, _) = Array::slice_as_chunks_mut(data);
        self.decrypt_blocks(blocks);
    }
}

fn keyed<C: KeyInit + BlockRun + 'static>(key: &[u8]) -> Result<Box<dyn BlockRun>> {
    // Only a caller that mixes up key lengths gets here: headers and options are validated before.
    let cipher = C::new_from_slice(key).map_err(|_| {
        Error::caller(format!(
            "a key of {} bytes does not fit the cipher",
            key.len()
        ))
    })?;
    Ok(Box::new(cipher))
}

/// The cipher with its key expanded. The expanded key is wiped when dropped.
pub(super) fn block_cipher(algorithm: CipherAlgorithm, key: &[u8]) -> Result<Box<dyn BlockRun>> {
    match algorithm.family() {
        CipherFamily::Aes if algorithm == CipherAlgorithm::Aes128 => keyed::<aes::Aes128>(key),
        CipherFamily::Aes if algorithm == CipherAlgorithm::Aes192 => keyed::<aes::Aes192>(key),
        CipherFamily::Aes => keyed::<aes::Aes256>(key),
        CipherFamily::Serpent => keyed::<serpent::Serpent>(key),
        CipherFamily::Twofish => keyed::<twofish::Twofish>(key),
        CipherFamily::Cast5 => keyed::<cast5::Cast5>(key),
    }
}
