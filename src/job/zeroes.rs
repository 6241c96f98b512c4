//! Finding runs of zero bytes.

use std::ops::Range;

/// True when every byte is zero.
pub fn is_zero(bytes: &[u8]) -> bool {
    // Comparing the bytes with themselves one further on is one call of the fast memory comparison.
    match bytes.split_first() {
        None => true,
        Some((first, rest)) => *first == 0 && *rest == bytes[..rest.len()],
    }
}

/// A run of a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Where, relative to the buffer's start.
    pub range: Range<usize>,
    /// Nothing but zeros.
    pub zero: bool,
}

/// How finely zeros are looked for (`convert -S`).
#[derive(Clone, Copy, Debug)]
pub struct Sparseness {
    /// The shortest run of zeros that is left out.
    shortest: usize,
    /// Runs start and end at multiples of this.
    alignment: usize,
}

impl Sparseness {
    /// Runs of at least `bytes` count; they are aligned to the largest power of two that is not longer.
    /// `None` for 0: no zeros are looked for.
    pub fn new(bytes: usize) -> Option<Self> {
        let exponent = bytes.checked_ilog2()?;
        Some(Self {
            shortest: bytes,
            alignment: 1 << exponent,
        })
    }

    /// Splits `buffer`, whose first byte lies at `start` of the disk, into runs that cover it in order.
    pub fn runs(self, start: u64, buffer: &[u8]) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let mut position = 0;
        while position < buffer.len() {
            let within = start.wrapping_add(position as u64) & (self.alignment as u64 - 1);
            let until_aligned = self.alignment - usize::try_from(within).unwrap_or(0);
            let end = buffer.len().min(position + until_aligned);
            let zero = is_zero(&buffer[position..end]);
            match runs.last_mut() {
                Some(last) if last.zero == zero => last.range.end = end,
                _ => runs.push(Run {
                    range: position..end,
                    zero,
                }),
            }
            position = end;
        }
        self.join_short(runs)
    }

    /// Turns zero runs that are too short into data and joins what then touches. The first and the last one may go
    /// on outside of the buffer: they stay.
    fn join_short(self, runs: Vec<Run>) -> Vec<Run> {
        if self.shortest == self.alignment || runs.len() < 2 {
            return runs;
        }
        let mut joined: Vec<Run> = Vec::new();
        let end = runs.last().map_or(0, |run| run.range.end);
        for mut run in runs {
            let at_border = run.range.start == 0 || run.range.end == end;
            run.zero &= at_border || run.range.len() >= self.shortest;
            match joined.last_mut() {
                Some(last) if last.zero == run.zero => last.range.end = run.range.end,
                _ => joined.push(run),
            }
        }
        joined
    }
}

#[cfg(test)]
mod tests;
