//! PBKDF2's inner loop for SHA-256, LUKS's default: two compressions an iteration and nothing else.
//!
//! The generic loop copies two hashers with their buffers each time, which costs as much as the hashing.

use sha2::block_api::compress256;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const BLOCK_BYTES: usize = 64;
const DIGEST_BYTES: usize = 32;
/// Bits that a digest behind one block of key makes.
const MESSAGE_BITS: u64 = ((BLOCK_BYTES + DIGEST_BYTES) * 8) as u64;

/// SHA-256's state before anything is hashed (FIPS 180-4 §5.3.3).
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

type State = Zeroizing<[u32; 8]>;

/// HMAC-SHA-256 under one key: the states behind its two key blocks (RFC 2104 §4).
pub(super) struct Keyed {
    inner: State,
    outer: State,
}

impl Keyed {
    pub(super) fn new(password: &[u8]) -> Self {
        let mut key = Zeroizing::new([0; BLOCK_BYTES]);
        if password.len() > BLOCK_BYTES {
            key[..DIGEST_BYTES].copy_from_slice(&Sha256::digest(password));
        } else {
            key[..password.len()].copy_from_slice(password);
        }
        let behind = |pad: u8| {
            let mut block = Zeroizing::new(*key);
            block.iter_mut().for_each(|byte| *byte ^= pad);
            let mut state = Zeroizing::new(INITIAL);
            compress256(&mut state, std::slice::from_ref(&*block));
            state
        };
        Self {
            inner: behind(0x36),
            outer: behind(0x5c),
        }
    }

    /// Xors U2, U3 … into `sum`, which holds U1.
    pub(super) fn iterate(&self, iterations: u32, sum: &mut [u8; DIGEST_BYTES]) {
        let mut block = Zeroizing::new([0; BLOCK_BYTES]);
        block[..DIGEST_BYTES].copy_from_slice(sum);
        block[DIGEST_BYTES] = 0x80;
        block[BLOCK_BYTES - 8..].copy_from_slice(&MESSAGE_BITS.to_be_bytes());
        let mut total = Zeroizing::new([0_u32; 8]);
        for (word, bytes) in total.iter_mut().zip(sum.chunks_exact(4)) {
            *word = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        let mut state: State = Zeroizing::new([0; 8]);
        for _ in 1..iterations {
            for key in [&self.inner, &self.outer] {
                *state = **key;
                compress256(&mut state, std::slice::from_ref(&*block));
                for (bytes, word) in block.chunks_exact_mut(4).zip(*state) {
                    bytes.copy_from_slice(&word.to_be_bytes());
                }
            }
            for (word, other) in total.iter_mut().zip(*state) {
                *word ^= other;
            }
        }
        for (bytes, word) in sum.chunks_exact_mut(4).zip(*total) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
    }
}
