//! PBKDF2 and how many iterations take how long (luks1 §4).

mod sha256;

use std::time::{Duration, Instant};

use digest::{FixedOutput, KeyInit, Update};
use hmac::{EagerHash, Hmac};
use zeroize::Zeroizing;

use super::hash::{HashAlgorithm, with_digest};
use crate::base::error::errno;
use crate::base::limits::LUKS_MAX_ITERATIONS;
use crate::base::{Error, Result};

/// What the real tools never go below.
pub const ITERATIONS_MIN: u32 = 1000;

/// Derives `output.len()` bytes. Output blocks are independent: two and more get a thread each.
pub fn pbkdf2(
    hash: HashAlgorithm,
    password: &[u8],
    salt: &[u8],
    iterations: u32,
    output: &mut [u8],
) {
    let fast = (hash == HashAlgorithm::Sha256).then(|| sha256::Keyed::new(password));
    with_digest!(hash, D => derive::<D>(password, salt, iterations, fast.as_ref(), output));
}

fn derive<D: EagerHash + Sync>(
    password: &[u8],
    salt: &[u8],
    iterations: u32,
    fast: Option<&sha256::Keyed>,
    output: &mut [u8],
) where
    Hmac<D>: KeyInit + Update + FixedOutput + Clone + Sync,
{
    // HMAC takes keys of any length.
    let Ok(keyed) = <Hmac<D> as KeyInit>::new_from_slice(password) else {
        return;
    };
    let block_bytes = <D as digest::Digest>::output_size();
    if output.len() <= block_bytes {
        block(&keyed, salt, iterations, 1, fast, output);
        return;
    }
    std::thread::scope(|scope| {
        for (chunk, number) in output.chunks_mut(block_bytes).zip(1..) {
            let keyed = &keyed;
            scope.spawn(move || block(keyed, salt, iterations, number, fast, chunk));
        }
    });
}

/// One output block: U1 xor U2 xor … (RFC 8018 §5.2).
fn block<M: Update + FixedOutput + Clone>(
    keyed: &M,
    salt: &[u8],
    iterations: u32,
    number: u32,
    fast: Option<&sha256::Keyed>,
    output: &mut [u8],
) {
    let mut first = keyed.clone();
    first.update(salt);
    first.update(&number.to_be_bytes());
    let mut u = first.finalize_fixed();
    let mut sum = u.clone();
    match (fast, sum.first_chunk_mut()) {
        (Some(fast), Some(sum)) => fast.iterate(iterations, sum),
        _ => {
            for _ in 1..iterations {
                let mut next = keyed.clone();
                next.update(&u);
                u = next.finalize_fixed();
                for (byte, other) in sum.iter_mut().zip(&u) {
                    *byte ^= other;
                }
            }
        }
    }
    let length = output.len();
    output.copy_from_slice(&sum[..length]);
    zeroize::Zeroize::zeroize(sum.as_mut_slice());
    zeroize::Zeroize::zeroize(u.as_mut_slice());
}

/// Iterations a second on this machine, for an output of `output_bytes`, measured in some milliseconds.
fn rate(hash: HashAlgorithm, output_bytes: usize) -> u64 {
    const LONG_ENOUGH: Duration = Duration::from_millis(8);
    let mut output = Zeroizing::new(vec![0; output_bytes]);
    let mut iterations: u32 = 4096;
    loop {
        let start = Instant::now();
        pbkdf2(hash, b"password", &[0; 32], iterations, &mut output);
        let elapsed = start.elapsed();
        if elapsed >= LONG_ENOUGH || iterations >= 1 << 24 {
            let nanoseconds = elapsed.as_nanos().max(1);
            let rate = u128::from(iterations) * 1_000_000_000 / nanoseconds;
            return u64::try_from(rate).unwrap_or(u64::MAX);
        }
        iterations *= 2;
    }
}

/// Iterations that take `time_ms` milliseconds here, divided by `divisor`, at least [`ITERATIONS_MIN`].
///
/// `time_ms` is the option as given: a negative value ends, as with the real tools, in "too large to scale".
pub fn iterations_for(
    hash: HashAlgorithm,
    output_bytes: usize,
    time_ms: i64,
    divisor: u64,
) -> Result<u32> {
    if time_ms == 0 {
        return Ok(ITERATIONS_MIN);
    }
    scale(rate(hash, output_bytes), time_ms, divisor)
}

fn scale(rate: u64, time_ms: i64, divisor: u64) -> Result<u32> {
    let range = |words: String| Error::caller(words).with_errno(errno::ERANGE);
    let product = u64::try_from(time_ms)
        .ok()
        .and_then(|time| rate.checked_mul(time));
    let Some(product) = product else {
        return Err(range(format!(
            "PBKDF iterations {rate} too large to scale: Numerical result out of range"
        )));
    };
    let iterations = product / 1000 / divisor;
    let Ok(iterations) = u32::try_from(iterations) else {
        return Err(range(format!(
            "PBKDF iterations {iterations} larger than {}: Numerical result out of range",
            u32::MAX
        )));
    };
    if iterations > LUKS_MAX_ITERATIONS {
        // An image that we would not open ourselves (`open` has the same cap).
        return Err(range(format!(
            "PBKDF iterations {iterations} larger than the cap of {LUKS_MAX_ITERATIONS}"
        )));
    }
    Ok(iterations.max(ITERATIONS_MIN))
}

#[cfg(test)]
mod tests;
