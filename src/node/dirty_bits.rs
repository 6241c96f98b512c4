//! Which parts of a disk were written: one bit for each piece of `granularity` bytes, kept sparse.

use std::collections::BTreeMap;

/// Bytes of a chunk of bits: a divisor of every cluster size.
const CHUNK: usize = 512;
/// Bits of a chunk.
const CHUNK_BITS: u64 = CHUNK as u64 * 8;

/// A set of pieces of a disk. Chunks without a bit take no memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirtyBits {
    size: u64,
    granularity_bits: u32,
    chunks: BTreeMap<u64, Box<[u8]>>,
}

impl DirtyBits {
    /// No piece of a disk of `size` bytes; `granularity_bits` is below 64.
    pub const fn new(size: u64, granularity_bits: u32) -> Self {
        Self {
            size,
            granularity_bits,
            chunks: BTreeMap::new(),
        }
    }

    /// Bytes of the disk.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Bytes of a piece.
    pub const fn granularity(&self) -> u64 {
        1 << self.granularity_bits
    }

    /// Pieces of the disk.
    pub const fn bits(&self) -> u64 {
        self.size.div_ceil(1 << self.granularity_bits)
    }

    /// Adds every piece that the range touches; what lies behind the disk is left out.
    pub fn mark(&mut self, offset: u64, length: u64) {
        let end = offset.saturating_add(length).min(self.size);
        if offset >= end {
            return;
        }
        let first = offset >> self.granularity_bits;
        let last = (end - 1) >> self.granularity_bits;
        self.set(first, last + 1);
    }

    /// Removes all.
    pub fn clear(&mut self) {
        self.chunks.clear();
    }

    /// Follows the disk to another length: pieces behind it are dropped, new ones are clean.
    pub fn resize(&mut self, size: u64) {
        self.size = size;
        self.trim();
    }

    /// Adds the pieces of `other` that lie on this disk, whatever its granularity.
    pub fn merge(&mut self, other: &Self) {
        if self.granularity_bits == other.granularity_bits {
            for (index, theirs) in &other.chunks {
                let ours = self.chunk(*index);
                for (ours, theirs) in ours.iter_mut().zip(theirs) {
                    *ours |= theirs;
                }
            }
            self.trim();
            return;
        }
        for (index, chunk) in &other.chunks {
            for run in runs(chunk) {
                let first = index * CHUNK_BITS + run.start;
                let length = (run.end - run.start) << other.granularity_bits;
                self.mark(first << other.granularity_bits, length);
            }
        }
    }

    /// `length` bytes of bits from byte `start` on (both multiples of 512), the first piece in the lowest bit;
    /// `None` when none is set.
    pub fn bytes(&self, start: u64, length: usize) -> Option<Vec<u8>> {
        let first = start / CHUNK as u64;
        let last = first.saturating_add((length / CHUNK) as u64);
        let mut out: Option<Vec<u8>> = None;
        for (index, chunk) in self.chunks.range(first..last) {
            if chunk.iter().all(|byte| *byte == 0) {
                continue;
            }
            let out = out.get_or_insert_with(|| vec![0; length]);
            let at = usize::try_from(index - first).unwrap_or(0) * CHUNK;
            if let Some(place) = out.get_mut(at..at + CHUNK) {
                place.copy_from_slice(chunk);
            }
        }
        out
    }

    /// Takes bits as [`DirtyBits::bytes`] gives them; `start` is a multiple of 512.
    pub fn set_bytes(&mut self, start: u64, bytes: &[u8]) {
        let first = start / CHUNK as u64;
        for (index, piece) in (first..).zip(bytes.chunks(CHUNK)) {
            if piece.iter().all(|byte| *byte == 0) {
                self.chunks.remove(&index);
                continue;
            }
            let chunk = self.chunk(index);
            chunk.fill(0);
            if let Some(place) = chunk.get_mut(..piece.len()) {
                place.copy_from_slice(piece);
            }
        }
        self.trim();
    }

    /// The pieces as runs of bytes, in order; the last one ends with the disk.
    pub fn runs(&self) -> impl Iterator<Item = std::ops::Range<u64>> {
        self.chunks.iter().flat_map(move |(index, chunk)| {
            runs(chunk).into_iter().map(move |run| {
                let first = index * CHUNK_BITS;
                let start = (first + run.start) << self.granularity_bits;
                let end = (first + run.end).saturating_mul(self.granularity());
                start..end.min(self.size)
            })
        })
    }

    fn chunk(&mut self, index: u64) -> &mut [u8] {
        self.chunks
            .entry(index)
            .or_insert_with(|| vec![0; CHUNK].into_boxed_slice())
    }

    /// Sets the bits `first..end`.
    fn set(&mut self, first: u64, end: u64) {
        let mut at = first;
        while at < end {
            let index = at / CHUNK_BITS;
            let stop = end.min((index + 1) * CHUNK_BITS);
            let base = index * CHUNK_BITS;
            fill(self.chunk(index), at - base, stop - base);
            at = stop;
        }
    }

    /// Drops bits behind the disk's end.
    fn trim(&mut self) {
        let bits = self.bits();
        let full = bits / CHUNK_BITS;
        let _ = self.chunks.split_off(&bits.div_ceil(CHUNK_BITS));
        if let Some(chunk) = self.chunks.get_mut(&full) {
            let left = bits - full * CHUNK_BITS;
            for (index, byte) in (0..).zip(chunk.iter_mut()) {
                let kept = left.saturating_sub(index * 8).min(8);
                *byte &= low_bits(kept);
            }
        }
    }
}

/// A byte with its `count` lowest bits set, 8 at most.
const fn low_bits(count: u64) -> u8 {
    if count >= 8 { 0xff } else { (1 << count) - 1 }
}

/// Sets the bits `first..end` of a chunk.
fn fill(chunk: &mut [u8], first: u64, end: u64) {
    let (head, tail) = (first / 8, end / 8);
    for (index, byte) in (0..)
        .zip(chunk.iter_mut())
        .skip(usize::try_from(head).unwrap_or(0))
    {
        if index > tail {
            break;
        }
        let mut mask = 0xff;
        if index == head {
            mask &= !low_bits(first % 8);
        }
        if index == tail {
            mask &= low_bits(end % 8);
        }
        *byte |= mask;
    }
}

/// Runs of set bits.
fn runs(chunk: &[u8]) -> Vec<std::ops::Range<u64>> {
    let mut runs: Vec<std::ops::Range<u64>> = Vec::new();
    for (index, byte) in (0_u64..).zip(chunk) {
        if *byte == 0 {
            continue;
        }
        for bit in 0..8 {
            if byte & (1 << bit) != 0 {
                let at = index * 8 + bit;
                match runs.last_mut() {
                    Some(run) if run.end == at => run.end += 1,
                    _ => runs.push(at..at + 1),
                }
            }
        }
    }
    runs
}

#[cfg(test)]
mod tests;
