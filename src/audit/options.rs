//! What an audit may spend, and what it expects.

/// Bytes of ciphertext that each proof reads unless everything is asked for.
pub const SAMPLE_BYTES: u64 = 256 << 20;

/// How an image is audited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditOptions {
    /// Proofs look at everything, not at a sample.
    pub full: bool,
    /// Key slots that are known to be in use.
    pub expected_slots: usize,
    /// Bytes that each proof may read when not `full`.
    pub sample_bytes: u64,
}

impl Default for AuditOptions {
    fn default() -> Self {
        Self {
            full: false,
            expected_slots: 1,
            sample_bytes: SAMPLE_BYTES,
        }
    }
}

impl AuditOptions {
    /// A sampler for `candidates` things of `bytes` bytes each.
    pub fn sampler(&self, candidates: u64, bytes: u64) -> Sampler {
        let wanted = candidates.saturating_mul(bytes);
        let stride = if self.full {
            1
        } else {
            wanted.div_ceil(self.sample_bytes.max(1)).max(1)
        };
        Sampler { stride, seen: 0 }
    }
}

/// Takes one thing of `stride`, evenly.
#[derive(Clone, Copy, Debug)]
pub struct Sampler {
    stride: u64,
    seen: u64,
}

impl Sampler {
    /// Whether the next thing is looked at.
    pub const fn take(&mut self) -> bool {
        let taken = self.seen.is_multiple_of(self.stride);
        self.seen += 1;
        taken
    }

    /// Whether everything is looked at.
    pub const fn is_complete(&self) -> bool {
        self.stride == 1
    }
}

#[cfg(test)]
mod tests;
