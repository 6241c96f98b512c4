//! Every shift of qcow v1 address translation (qcow1 §3).

use crate::base::iv_sector::SECTOR_SIZE;
use crate::base::{GuestOffset, HostOffset, Result};

/// The shape of an image, from a validated header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    cluster_bits: u32,
    l2_bits: u32,
    l1_entries: u64,
    size: u64,
}

impl Geometry {
    pub(super) const fn new(cluster_bits: u32, l2_bits: u32, l1_entries: u64, size: u64) -> Self {
        Self {
            cluster_bits,
            l2_bits,
            l1_entries,
            size: size - size % SECTOR_SIZE as u64,
        }
    }

    /// log2 of the cluster size.
    pub const fn cluster_bits(&self) -> u32 {
        self.cluster_bits
    }

    /// Bytes of a cluster.
    pub const fn cluster_size(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// Entries of an L2 table: 64 to 8192.
    pub const fn l2_entries(&self) -> usize {
        1 << self.l2_bits
    }

    /// Bytes of an L2 table: 512 to 65536.
    pub const fn l2_bytes(&self) -> usize {
        8 << self.l2_bits
    }

    /// Entries of the L1 table.
    pub const fn l1_entries(&self) -> u64 {
        self.l1_entries
    }

    /// Bytes of the L1 table.
    pub const fn l1_bytes(&self) -> u64 {
        self.l1_entries * 8
    }

    /// The visible size: the stored one rounded down to 512 (qcow1 §5, notes).
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Guest bytes that one L1 entry covers.
    pub const fn l1_entry_covers(&self) -> u64 {
        1 << (self.cluster_bits + self.l2_bits)
    }

    /// Which L1 entry is responsible.
    pub const fn l1_index(&self, guest: GuestOffset) -> u64 {
        guest.bytes() >> (self.cluster_bits + self.l2_bits)
    }

    /// Which entry of the L2 table is responsible: below [`Geometry::l2_entries`].
    #[expect(clippy::cast_possible_truncation, reason = "masked to at most 13 bits")]
    pub const fn l2_index(&self, guest: GuestOffset) -> usize {
        ((guest.bytes() >> self.cluster_bits) & ((1 << self.l2_bits) - 1)) as usize
    }

    /// The start of the guest cluster.
    pub const fn cluster_start(&self, guest: GuestOffset) -> GuestOffset {
        guest.align_down(self.cluster_size())
    }

    /// The position inside the guest cluster.
    pub const fn within_cluster(&self, guest: GuestOffset) -> u64 {
        guest.within(self.cluster_size())
    }

    /// Where an L1 entry lies.
    pub fn l1_entry_place(&self, table: HostOffset, index: u64) -> Result<HostOffset> {
        table.plus(index.saturating_mul(8))
    }
}

#[cfg(test)]
mod tests;
