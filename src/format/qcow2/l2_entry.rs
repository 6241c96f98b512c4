//! Entries of L2 tables (qcow2 §3): 8 bytes, or 16 with a bitmap of subclusters.

use super::compressed_descriptor::CompressedDescriptor;
use super::geometry::Geometry;
use super::l1_entry::{COPIED, OFFSET_MASK};
use super::subcluster::{ALL_ZERO, SubclusterBits};
use crate::base::HostOffset;

/// Bit 62: the cluster is compressed.
pub const COMPRESSED: u64 = 1 << 62;
/// Bit 0: the cluster reads as zeros (version 3, standard entries).
pub const ZERO: u64 = 1;

/// What an L2 entry says of its cluster as a whole. An extended entry has no zero flag: its subclusters read as zeros
/// one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cluster {
    /// Nothing: the backing file or zeros.
    Unallocated,
    /// Zeros, nothing stored.
    ZeroPlain,
    /// Zeros, with a cluster kept for later writes.
    ZeroAllocated(HostOffset),
    /// Data at that place.
    Normal(HostOffset),
    /// Compressed data.
    Compressed(CompressedDescriptor),
}

/// One L2 entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct L2Entry {
    word: u64,
    /// The second half of an extended entry; 0 in a standard one.
    subclusters: SubclusterBits,
}

impl L2Entry {
    /// Unallocated.
    pub const EMPTY: Self = Self::from_raw(0);

    /// Reads as zeros, nothing stored.
    pub const fn zero_plain(geometry: &Geometry) -> Self {
        if geometry.extended_l2() {
            Self::EMPTY.with_subclusters(ALL_ZERO)
        } else {
            Self::from_raw(ZERO)
        }
    }

    /// The entry as stored, without subclusters.
    pub const fn from_raw(raw: u64) -> Self {
        Self {
            word: raw,
            subclusters: SubclusterBits::NONE,
        }
    }

    /// A cluster at `host` that no snapshot shares; with extended entries none of its subclusters holds anything.
    pub const fn data(host: HostOffset) -> Self {
        Self::from_raw((host.bytes() & OFFSET_MASK) | COPIED)
    }

    /// A compressed cluster; `None` when it doesn't fit the descriptor.
    pub fn compressed(geometry: &Geometry, host: HostOffset, length: u64) -> Option<Self> {
        CompressedDescriptor::encode(geometry, host, length)
            .map(|raw| Self::from_raw(raw | COMPRESSED))
    }

    /// The entry as stored: its only, or first, 8 bytes.
    pub const fn raw(self) -> u64 {
        self.word
    }

    /// What an extended entry says of its subclusters.
    pub const fn subclusters(self) -> SubclusterBits {
        self.subclusters
    }

    /// The same cluster with other subclusters.
    #[must_use]
    pub const fn with_subclusters(mut self, subclusters: SubclusterBits) -> Self {
        self.subclusters = subclusters;
        self
    }

    /// What the entry says of the cluster. The zero flag is reported in version 2 images too: the caller objects.
    pub const fn cluster(self, geometry: &Geometry) -> Cluster {
        if self.word & COMPRESSED != 0 {
            return Cluster::Compressed(CompressedDescriptor::from_raw(geometry, self.word));
        }
        let host = HostOffset::new(self.word & OFFSET_MASK);
        let zero = self.word & ZERO != 0 && !geometry.extended_l2();
        match (zero, host.bytes()) {
            (true, 0) => Cluster::ZeroPlain,
            (true, _) => Cluster::ZeroAllocated(host),
            // In a data file, offset 0 is the first cluster's place.
            (false, 0) if geometry.external_data() && self.copied() => Cluster::Normal(host),
            (false, 0) => Cluster::Unallocated,
            (false, _) => Cluster::Normal(host),
        }
    }

    /// Bits 9 to 55 of an entry that is not compressed.
    pub const fn host(self) -> Option<HostOffset> {
        if self.word & COMPRESSED != 0 || self.word & OFFSET_MASK == 0 {
            None
        } else {
            Some(HostOffset::new(self.word & OFFSET_MASK))
        }
    }

    /// The cluster belongs to the active state alone.
    pub const fn copied(self) -> bool {
        self.word & COPIED != 0
    }

    /// The same entry with the COPIED flag changed.
    #[must_use]
    pub const fn with_copied(mut self, copied: bool) -> Self {
        self.word = (self.word & !COPIED) | if copied { COPIED } else { 0 };
        self
    }

    /// The same place, reading as zeros.
    #[must_use]
    pub const fn with_zero(mut self, geometry: &Geometry) -> Self {
        if geometry.extended_l2() {
            self.subclusters = ALL_ZERO;
        } else {
            self.word |= ZERO;
        }
        self
    }

    /// Bits that should be zero and are not: for `check`.
    pub const fn reserved_bits(self, version: u32) -> u64 {
        if self.word & COMPRESSED != 0 {
            return 0;
        }
        let zero = if version >= 3 { ZERO } else { 0 };
        self.word & !(OFFSET_MASK | COPIED | zero)
    }
}

/// The entry at `index` of a table's bytes; `None` past its end.
pub fn read(geometry: &Geometry, table: &[u8], index: usize) -> Option<L2Entry> {
    let start = index.checked_mul(geometry.l2_entry_bytes())?;
    let bytes = table.get(start..)?;
    let word = u64::from_be_bytes(*bytes.first_chunk::<8>()?);
    if !geometry.extended_l2() {
        return Some(L2Entry::from_raw(word));
    }
    let subclusters = u64::from_be_bytes(*bytes.get(8..)?.first_chunk::<8>()?);
    Some(L2Entry {
        word,
        subclusters: SubclusterBits::from_raw(subclusters),
    })
}

/// Stores the entry at `index`; false past the table's end.
pub fn write(geometry: &Geometry, table: &mut [u8], index: usize, entry: L2Entry) -> bool {
    let length = geometry.l2_entry_bytes();
    let place = index
        .checked_mul(length)
        .and_then(|start| table.get_mut(start..))
        .and_then(|rest| rest.get_mut(..length));
    let Some((word, rest)) = place.and_then(|place| place.split_first_chunk_mut::<8>()) else {
        return false;
    };
    *word = entry.word.to_be_bytes();
    if let Some(bitmap) = rest.first_chunk_mut::<8>() {
        *bitmap = entry.subclusters.raw().to_be_bytes();
    }
    true
}

#[cfg(test)]
mod tests;
