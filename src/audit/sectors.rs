//! Comparing ciphertext, sector by sector, without a key (iv-domains §2).

use crate::base::iv_sector::SECTOR_SIZE;

/// How ciphertext that shares key and IV can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// CBC: equal up to the first plaintext block that differs.
    Prefix,
    /// XTS, CTR, ECB: each block at its place.
    Positions,
}

/// Blocks by which ciphertext is compared. Also for 8-byte ciphers: chance equality stays out of the question.
pub const BLOCK: usize = 16;

/// What the copies of one sector have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Equality {
    /// Bytes that at least two copies have in common: the longest common beginning, or all equal blocks.
    pub equal_bytes: usize,
    /// Two copies are equal from end to end.
    pub identical: bool,
    /// Two copies differ.
    pub different: bool,
}

/// Nothing was ever written there: raw zeros are no ciphertext (a sector of zeros by chance has 2^-4096).
pub fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// Compares the copies of one sector. Blank copies must be left out by the caller.
pub fn compare(comparison: Comparison, copies: &mut [&[u8]]) -> Equality {
    // Sorted, the copies with the longest common beginning are neighbours.
    copies.sort_unstable();
    let mut equality = Equality::default();
    for (one, other) in copies.iter().zip(copies.iter().skip(1)) {
        let common = one.iter().zip(*other).take_while(|(a, b)| a == b).count();
        equality.identical |= common == one.len();
        equality.different |= common < one.len();
        equality.equal_bytes = equality.equal_bytes.max(common / BLOCK * BLOCK);
    }
    if comparison == Comparison::Positions {
        equality.equal_bytes = equal_positions(copies) * BLOCK;
    }
    equality
}

/// Positions at which two copies have the same block.
fn equal_positions(copies: &[&[u8]]) -> usize {
    let mut blocks: Vec<&[u8]> = Vec::with_capacity(copies.len());
    (0..SECTOR_SIZE)
        .step_by(BLOCK)
        .filter(|&start| {
            blocks.clear();
            blocks.extend(
                copies
                    .iter()
                    .filter_map(|copy| copy.get(start..start + BLOCK)),
            );
            blocks.sort_unstable();
            blocks.windows(2).any(|pair| pair.first() == pair.last())
        })
        .count()
}

/// The first of the blocks of `block` bytes that occurs before in `bytes`: both positions.
pub fn repeated_block(bytes: &[u8], block: usize) -> Option<(usize, usize)> {
    let mut seen = std::collections::HashMap::new();
    bytes
        .chunks_exact(block)
        .enumerate()
        .filter(|(_, chunk)| !is_blank(chunk))
        .find_map(|(index, chunk)| {
            seen.insert(chunk, index)
                .map(|first| (first * block, index * block))
        })
}

#[cfg(test)]
mod tests;
