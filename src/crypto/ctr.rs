//! Counter mode: every sector's counter starts at its IV and counts big-endian (luks1 §2).

use zeroize::Zeroize;

use super::block_run::BlockRun;
use super::ivgen::IvGenerator;
use crate::base::IvSector;
use crate::base::iv_sector::SECTOR_SIZE;

const LARGEST_BLOCK: usize = 16;

/// Encrypts and decrypts.
pub(super) fn apply(
    cipher: &dyn BlockRun,
    block: usize,
    ivs: &IvGenerator,
    first: IvSector,
    data: &mut [u8],
) {
    let mut iv = [0; LARGEST_BLOCK];
    let mut stream = [0; SECTOR_SIZE];
    for (sector, step) in data.chunks_exact_mut(SECTOR_SIZE).zip(0..) {
        let counter = &mut iv[..block];
        ivs.fill(first.step(step), counter);
        for place in stream.chunks_exact_mut(block) {
            place.copy_from_slice(counter);
            increment(counter);
        }
        cipher.encrypt_run(&mut stream);
        for (byte, key) in sector.iter_mut().zip(&stream) {
            *byte ^= key;
        }
    }
    stream.zeroize();
}

/// One more, big-endian, over the whole block.
fn increment(counter: &mut [u8]) {
    for byte in counter.iter_mut().rev() {
        let (sum, carried) = byte.overflowing_add(1);
        *byte = sum;
        if !carried {
            break;
        }
    }
}
