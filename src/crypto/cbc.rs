//! CBC over many sectors at once.
//!
//! Encryption is a chain inside a sector, but sectors are independent: block `i` of many sectors goes through
//! the cipher together, then block `i + 1` of all of them (1.1 → 5 GB/s).

use zeroize::Zeroize;

use super::block_run::BlockRun;
use super::ivgen::IvGenerator;
use crate::base::IvSector;
use crate::base::iv_sector::SECTOR_SIZE;

/// Sectors that advance in lockstep.
const LANES: usize = 128;
const LARGEST_BLOCK: usize = 16;
/// Bytes of ciphertext kept while they are decrypted in place.
const DECRYPT_GROUP: usize = 8 * SECTOR_SIZE;

pub(super) fn encrypt(
    cipher: &dyn BlockRun,
    block: usize,
    ivs: &IvGenerator,
    first: IvSector,
    data: &mut [u8],
) {
    let mut chain = [0; LANES * LARGEST_BLOCK];
    let mut sector = first;
    for lanes in data.chunks_mut(LANES * SECTOR_SIZE) {
        let count = lanes.len() / SECTOR_SIZE;
        let chain = &mut chain[..count * block];
        ivs.fill(sector, chain);
        sector = sector.step(count as u64);
        for position in (0..SECTOR_SIZE).step_by(block) {
            let places = lanes.chunks_exact(SECTOR_SIZE);
            for (state, lane) in chain.chunks_exact_mut(block).zip(places) {
                xor(state, &lane[position..position + block]);
            }
            cipher.encrypt_run(chain);
            let places = lanes.chunks_exact_mut(SECTOR_SIZE);
            for (state, lane) in chain.chunks_exact(block).zip(places) {
                lane[position..position + block].copy_from_slice(state);
            }
        }
    }
}

pub(super) fn decrypt(
    cipher: &dyn BlockRun,
    block: usize,
    ivs: &IvGenerator,
    first: IvSector,
    data: &mut [u8],
) {
    let mut chain = [0; DECRYPT_GROUP / SECTOR_SIZE * LARGEST_BLOCK];
    let mut ciphertext = [0; DECRYPT_GROUP];
    let mut sector = first;
    for group in data.chunks_mut(DECRYPT_GROUP) {
        let count = group.len() / SECTOR_SIZE;
        let chain = &mut chain[..count * block];
        ivs.fill(sector, chain);
        sector = sector.step(count as u64);
        let ciphertext = &mut ciphertext[..group.len()];
        ciphertext.copy_from_slice(group);
        cipher.decrypt_run(group);
        let sectors = group
            .chunks_exact_mut(SECTOR_SIZE)
            .zip(ciphertext.chunks_exact(SECTOR_SIZE));
        for ((plain, stored), iv) in sectors.zip(chain.chunks_exact(block)) {
            let (head, tail) = plain.split_at_mut(block);
            xor(head, iv);
            xor(tail, &stored[..SECTOR_SIZE - block]);
        }
        chain.zeroize();
    }
}

fn xor(into: &mut [u8], other: &[u8]) {
    for (byte, other) in into.iter_mut().zip(other) {
        *byte ^= other;
    }
}
