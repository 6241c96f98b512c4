//! All shifts and masks of a qcow2 image in one object.

use crate::base::limits::{QCOW2_MAX_CLUSTER_BITS, QCOW2_MIN_CLUSTER_BITS};
use crate::base::{GuestOffset, HostOffset};

/// The number of a cluster of the image file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostCluster(u64);

impl HostCluster {
    /// The cluster with that number.
    pub const fn new(index: u64) -> Self {
        Self(index)
    }

    /// Its number.
    pub const fn index(self) -> u64 {
        self.0
    }

    /// The cluster `count` further on.
    #[must_use]
    pub const fn step(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }
}

/// Smallest cluster exponent that leaves subclusters of a sector (qcow2 §3: cs >= 16 KiB).
const MIN_EXTENDED_CLUSTER_BITS: u32 = 14;
/// Subclusters of a cluster with extended L2 entries, as an exponent.
const SUBCLUSTERS_BITS: u32 = 5;
/// Entries of L1, refcount and bitmap tables have this many bytes, as an exponent.
const ENTRY_BITS: u32 = 3;

/// Sizes and positions that follow from cluster size, refcount width and the kind of L2 entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    cluster_bits: u32,
    refcount_order: u32,
    extended_l2: bool,
    external_data: bool,
}

impl Geometry {
    /// `None` when the numbers are outside what the format allows.
    pub const fn new(cluster_bits: u32, refcount_order: u32, extended_l2: bool) -> Option<Self> {
        if cluster_bits < QCOW2_MIN_CLUSTER_BITS
            || cluster_bits > QCOW2_MAX_CLUSTER_BITS
            || refcount_order > 6
            || (extended_l2 && cluster_bits < MIN_EXTENDED_CLUSTER_BITS)
        {
            return None;
        }
        Some(Self {
            cluster_bits,
            refcount_order,
            extended_l2,
            external_data: false,
        })
    }

    /// The same image with its guest clusters in a data file of their own.
    #[must_use]
    pub const fn with_external_data(mut self, external_data: bool) -> Self {
        self.external_data = external_data;
        self
    }

    /// Guest clusters lie in a data file, each at its guest offset; the image has no counts for them.
    pub const fn external_data(&self) -> bool {
        self.external_data
    }

    /// Exponent of the cluster size.
    pub const fn cluster_bits(&self) -> u32 {
        self.cluster_bits
    }

    /// Bytes of a cluster.
    pub const fn cluster_size(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// Bytes of a cluster, for buffers (at most 2 MiB).
    pub const fn cluster_bytes(&self) -> usize {
        1 << self.cluster_bits
    }

    /// 16-byte L2 entries with a subcluster bitmap.
    pub const fn extended_l2(&self) -> bool {
        self.extended_l2
    }

    /// Exponent of the unit in which a cluster can be allocated: the cluster itself, or 1/32 of it.
    pub const fn subcluster_bits(&self) -> u32 {
        if self.extended_l2 {
            self.cluster_bits - SUBCLUSTERS_BITS
        } else {
            self.cluster_bits
        }
    }

    /// Bytes of that unit.
    pub const fn subcluster_size(&self) -> u64 {
        1 << self.subcluster_bits()
    }

    /// How many of them a cluster has.
    pub const fn subclusters(&self) -> u32 {
        1 << (self.cluster_bits - self.subcluster_bits())
    }

    /// The subcluster, within its cluster, of a guest offset.
    #[expect(clippy::cast_possible_truncation, reason = "fewer than 32")]
    pub const fn subcluster_index(&self, offset: GuestOffset) -> u32 {
        (self.in_cluster(offset) >> self.subcluster_bits()) as u32
    }

    /// Bytes of an L2 entry.
    pub const fn l2_entry_bytes(&self) -> usize {
        if self.extended_l2 { 16 } else { 8 }
    }

    /// Exponent of the number of entries of an L2 table.
    pub const fn l2_bits(&self) -> u32 {
        self.cluster_bits - ENTRY_BITS - self.extended_l2 as u32
    }

    /// Entries of an L2 table.
    pub const fn l2_entries(&self) -> u64 {
        1 << self.l2_bits()
    }

    /// Entries of a cluster of an L1 or refcount table.
    pub const fn table_entries_per_cluster(&self) -> u64 {
        1 << (self.cluster_bits - ENTRY_BITS)
    }

    /// Guest bytes that one L2 table maps.
    pub const fn l2_coverage(&self) -> u64 {
        1 << (self.cluster_bits + self.l2_bits())
    }

    /// The L1 entry of a guest offset.
    pub const fn l1_index(&self, offset: GuestOffset) -> u64 {
        offset.bytes() >> (self.cluster_bits + self.l2_bits())
    }

    /// The L2 entry of a guest offset.
    #[expect(clippy::cast_possible_truncation, reason = "masked to at most 18 bits")]
    pub const fn l2_index(&self, offset: GuestOffset) -> usize {
        ((offset.bytes() >> self.cluster_bits) & (self.l2_entries() - 1)) as usize
    }

    /// L1 entries that a disk of `size` bytes needs.
    pub const fn l1_entries_for(&self, size: u64) -> u64 {
        size.div_ceil(self.l2_coverage())
    }

    /// Guest clusters of a disk of `size` bytes.
    pub const fn clusters_for(&self, size: u64) -> u64 {
        size.div_ceil(self.cluster_size())
    }

    /// The position of a guest offset inside its cluster.
    pub const fn in_cluster(&self, offset: GuestOffset) -> u64 {
        offset.within(self.cluster_size())
    }

    /// Guest offset behind the disk at which VM state begins (qcow2 §6).
    pub const fn vm_state_start(&self, size: u64) -> GuestOffset {
        GuestOffset::new(self.l1_entries_for(size).saturating_mul(self.l2_coverage()))
    }

    /// The cluster of the file that a host offset lies in.
    pub const fn host_cluster(&self, offset: HostOffset) -> HostCluster {
        HostCluster(offset.bytes() >> self.cluster_bits)
    }

    /// Where a cluster of the file begins. Saturates far beyond every legal offset.
    pub const fn host_offset(&self, cluster: HostCluster) -> HostOffset {
        HostOffset::new(cluster.0.saturating_mul(self.cluster_size()))
    }

    /// Exponent of the refcount width.
    pub const fn refcount_order(&self) -> u32 {
        self.refcount_order
    }

    /// Bits of one refcount.
    pub const fn refcount_bits(&self) -> u32 {
        1 << self.refcount_order
    }

    /// The largest count that fits.
    pub const fn refcount_max(&self) -> u64 {
        u64::MAX >> (64 - self.refcount_bits())
    }

    /// Exponent of the number of counts in a refcount block.
    pub const fn refcount_block_bits(&self) -> u32 {
        self.cluster_bits + ENTRY_BITS - self.refcount_order
    }

    /// Counts in a refcount block (qcow2 §4).
    pub const fn refcount_block_entries(&self) -> u64 {
        1 << self.refcount_block_bits()
    }

    /// The refcount table entry that covers a cluster.
    pub const fn refcount_table_index(&self, cluster: HostCluster) -> u64 {
        cluster.0 >> self.refcount_block_bits()
    }

    /// The place of a cluster's count in its block.
    #[expect(clippy::cast_possible_truncation, reason = "masked to at most 24 bits")]
    pub const fn refcount_block_index(&self, cluster: HostCluster) -> usize {
        (cluster.0 & (self.refcount_block_entries() - 1)) as usize
    }
}

#[cfg(test)]
mod tests;
