//! Where a compressed cluster lies (qcow2 §3).

use super::geometry::{Geometry, HostCluster};
use crate::base::HostOffset;

/// Unit of the length field.
const SECTOR: u64 = 512;
/// Bits 62 and 63 of the entry are flags.
const DESCRIPTOR_MASK: u64 = (1 << 62) - 1;

/// A byte position and the bytes that the compressed data may occupy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CompressedDescriptor {
    /// First byte.
    pub host: HostOffset,
    /// Bytes up to the end of the last 512-byte sector: the data may be shorter.
    pub length: u64,
}

/// Bits of the offset field.
const fn offset_bits(geometry: &Geometry) -> u32 {
    62 - (geometry.cluster_bits() - 8)
}

impl CompressedDescriptor {
    /// Decodes an L2 entry with the compressed flag.
    pub const fn from_raw(geometry: &Geometry, raw: u64) -> Self {
        let bits = offset_bits(geometry);
        let descriptor = raw & DESCRIPTOR_MASK;
        let offset = descriptor & ((1 << bits) - 1);
        let sectors = (descriptor >> bits) + 1;
        Self {
            host: HostOffset::new(offset),
            length: sectors * SECTOR - offset % SECTOR,
        }
    }

    /// The descriptor (without flags) for `length` > 0 bytes at `host`; `None` when they don't fit its fields.
    pub const fn encode(geometry: &Geometry, host: HostOffset, length: u64) -> Option<u64> {
        let bits = offset_bits(geometry);
        let first = host.bytes() / SECTOR;
        let Some(end) = host.bytes().checked_add(length) else {
            return None;
        };
        if length == 0 || host.bytes() >> bits != 0 {
            return None;
        }
        let extra = (end - 1) / SECTOR - first;
        if extra >> (62 - bits) != 0 {
            return None;
        }
        Some((extra << bits) | host.bytes())
    }

    /// The largest offset that the field can hold.
    pub const fn offset_max(geometry: &Geometry) -> u64 {
        (1 << offset_bits(geometry)) - 1
    }

    /// The first host cluster touched, and how many are: each holds a reference.
    pub fn host_clusters(&self, geometry: &Geometry) -> (HostCluster, u64) {
        let first = geometry.host_cluster(self.host);
        let last = geometry.host_cluster(self.host.saturating_plus(self.length.saturating_sub(1)));
        (first, last.index().saturating_sub(first.index()) + 1)
    }
}

#[cfg(test)]
mod tests;
