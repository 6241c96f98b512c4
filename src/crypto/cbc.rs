//! CBC over many sectors at once.
//!
//! Encryption is a chain inside a sector, but sectors are independent: block `i` of many sectors goes through
//! the cipher together, then block `i + 1` of all of them.

use zeroize::Zeroize;

use super::block_run::BlockRun;
use super::ivgen::IvGenerator;
use crate::base::IvSector;
use crate::base::iv_sector::SECTOR_SIZE;

/// Sectors that advance in lockstep. Their blocks lie 512 bytes apart, so that more of them would push each other out of
/// the first-level cache.
const LANES: usize = 64;
/// Sectors whose ciphertext is kept while they are decrypted in place.
const DECRYPT_SECTORS: usize = 8;

/// Encrypts with a cipher whose blocks are `BLOCK` bytes.
pub(super) fn encrypt<const BLOCK: usize>(
    cipher: &dyn BlockRun,
    ivs: &IvGenerator,
    first: IvSector,
    data: &mut [u8],
) {
    let mut states = [[0; BLOCK]; LANES];
    let mut sector = first;
    for lanes in data.chunks_mut(LANES * SECTOR_SIZE) {
        let (lanes, _) = lanes.as_chunks_mut::<SECTOR_SIZE>();
        let states = &mut states[..lanes.len()];
        ivs.fill(sector, states.as_flattened_mut());
        sector = sector.step(lanes.len() as u64);
        for position in 0..SECTOR_SIZE / BLOCK {
            for (state, lane) in states.iter_mut().zip(&*lanes) {
                let (blocks, _) = lane.as_chunks::<BLOCK>();
                xor(state, &blocks[position]);
            }
            cipher.encrypt_run(states.as_flattened_mut());
            for (state, lane) in states.iter().zip(&mut *lanes) {
                let (blocks, _) = lane.as_chunks_mut::<BLOCK>();
                blocks[position] = *state;
            }
        }
    }
}

/// Decrypts with a cipher whose blocks are `BLOCK` bytes.
pub(super) fn decrypt<const BLOCK: usize>(
    cipher: &dyn BlockRun,
    ivs: &IvGenerator,
    first: IvSector,
    data: &mut [u8],
) {
    let mut chain = [[0; BLOCK]; DECRYPT_SECTORS];
    let mut stored = [0; DECRYPT_SECTORS * SECTOR_SIZE];
    let mut sector = first;
    for group in data.chunks_mut(DECRYPT_SECTORS * SECTOR_SIZE) {
        let chain = &mut chain[..group.len() / SECTOR_SIZE];
        ivs.fill(sector, chain.as_flattened_mut());
        sector = sector.step(chain.len() as u64);
        let stored = &mut stored[..group.len()];
        stored.copy_from_slice(group);
        cipher.decrypt_run(group);
        let (sectors, _) = group.as_chunks_mut::<SECTOR_SIZE>();
        let (stored, _) = stored.as_chunks::<SECTOR_SIZE>();
        for ((plain, stored), iv) in sectors.iter_mut().zip(stored).zip(&*chain) {
            let (blocks, _) = plain.as_chunks_mut::<BLOCK>();
            let (previous, _) = stored.as_chunks::<BLOCK>();
            for (block, previous) in blocks.iter_mut().zip(std::iter::once(iv).chain(previous)) {
                xor(block, previous);
            }
        }
        // Under ESSIV they are secret.
        chain.as_flattened_mut().zeroize();
    }
}

fn xor<const BLOCK: usize>(into: &mut [u8; BLOCK], other: &[u8; BLOCK]) {
    for (byte, other) in into.iter_mut().zip(other) {
        *byte ^= other;
    }
}
