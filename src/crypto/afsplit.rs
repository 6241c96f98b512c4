//! The anti-forensic splitter: a key spread over stripes, so that losing one bit loses the key (luks1 §4).

use zeroize::{Zeroize, Zeroizing};

use super::hash::HashAlgorithm;
use super::random;
use crate::base::Result;

/// Spreads `key` over `stripes` stripes. The result is wiped when dropped.
pub fn split(hash: HashAlgorithm, key: &[u8], stripes: usize) -> Result<Zeroizing<Vec<u8>>> {
    let mut material = Zeroizing::new(vec![0; key.len().saturating_mul(stripes)]);
    let chosen = material.len().saturating_sub(key.len());
    let (head, last) = material.split_at_mut(chosen);
    random::fill(head)?;
    let sum = diffused_sum(hash, head, key.len());
    for ((byte, key), sum) in last.iter_mut().zip(key).zip(sum.iter()) {
        *byte = key ^ sum;
    }
    Ok(material)
}

/// Puts a key of `key_bytes` bytes together again.
pub fn merge(hash: HashAlgorithm, material: &[u8], key_bytes: usize) -> Zeroizing<Vec<u8>> {
    let (head, last) = material.split_at(material.len().saturating_sub(key_bytes));
    let mut key = diffused_sum(hash, head, key_bytes);
    xor(&mut key, last);
    key
}

fn diffused_sum(hash: HashAlgorithm, stripes: &[u8], key_bytes: usize) -> Zeroizing<Vec<u8>> {
    let mut sum = Zeroizing::new(vec![0; key_bytes]);
    for stripe in stripes.chunks_exact(key_bytes.max(1)) {
        xor(&mut sum, stripe);
        diffuse(hash, &mut sum);
    }
    sum
}

fn diffuse(hash: HashAlgorithm, block: &mut [u8]) {
    for (piece, number) in block.chunks_mut(hash.digest_bytes()).zip(0_u32..) {
        let mut digest = hash.digest(&[&number.to_be_bytes(), piece]);
        let length = piece.len();
        piece.copy_from_slice(&digest[..length]);
        digest.zeroize();
    }
}

fn xor(into: &mut [u8], other: &[u8]) {
    for (byte, other) in into.iter_mut().zip(other) {
        *byte ^= other;
    }
}

#[cfg(test)]
mod tests;
