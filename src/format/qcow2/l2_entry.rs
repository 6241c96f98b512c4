//! Entries of L2 tables (qcow2 §3).

use super::compressed_descriptor::CompressedDescriptor;
use super::geometry::Geometry;
use super::l1_entry::{COPIED, OFFSET_MASK};
use crate::base::HostOffset;

/// Bit 62: the cluster is compressed.
pub const COMPRESSED: u64 = 1 << 62;
/// Bit 0: the cluster reads as zeros (version 3, standard entries).
pub const ZERO: u64 = 1;

/// What a standard L2 entry says.
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

/// One standard (8-byte) L2 entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct L2Entry(u64);

impl L2Entry {
    /// Unallocated.
    pub const EMPTY: Self = Self(0);
    /// Reads as zeros, nothing stored.
    pub const ZERO_PLAIN: Self = Self(ZERO);

    /// The entry as stored.
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// Data at `host` that no snapshot shares.
    pub const fn data(host: HostOffset) -> Self {
        Self((host.bytes() & OFFSET_MASK) | COPIED)
    }

    /// A compressed cluster; `None` when it doesn't fit the descriptor.
    pub fn compressed(geometry: &Geometry, host: HostOffset, length: u64) -> Option<Self> {
        CompressedDescriptor::encode(geometry, host, length).map(|raw| Self(raw | COMPRESSED))
    }

    /// The entry as stored.
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// What the entry says. The zero flag is reported in version 2 images too: the caller objects.
    pub const fn cluster(self, geometry: &Geometry) -> Cluster {
        if self.0 & COMPRESSED != 0 {
            return Cluster::Compressed(CompressedDescriptor::from_raw(geometry, self.0));
        }
        let host = HostOffset::new(self.0 & OFFSET_MASK);
        match (self.0 & ZERO != 0, host.bytes()) {
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
        if self.0 & COMPRESSED != 0 || self.0 & OFFSET_MASK == 0 {
            None
        } else {
            Some(HostOffset::new(self.0 & OFFSET_MASK))
        }
    }

    /// The cluster belongs to the active state alone.
    pub const fn copied(self) -> bool {
        self.0 & COPIED != 0
    }

    /// The same entry with the COPIED flag changed.
    #[must_use]
    pub const fn with_copied(self, copied: bool) -> Self {
        Self((self.0 & !COPIED) | if copied { COPIED } else { 0 })
    }

    /// The same place, reading as zeros.
    #[must_use]
    pub const fn with_zero(self) -> Self {
        Self(self.0 | ZERO)
    }

    /// Bits that should be zero and are not: for `check`.
    pub const fn reserved_bits(self, version: u32) -> u64 {
        if self.0 & COMPRESSED != 0 {
            return 0;
        }
        let zero = if version >= 3 { ZERO } else { 0 };
        self.0 & !(OFFSET_MASK | COPIED | zero)
    }
}

/// The standard entry at `index` of a table's bytes; `None` past its end.
pub fn read(table: &[u8], index: usize) -> Option<L2Entry> {
    let start = index.checked_mul(8)?;
    let bytes = table.get(start..)?.first_chunk::<8>()?;
    Some(L2Entry(u64::from_be_bytes(*bytes)))
}

/// Stores the standard entry at `index`; false past the table's end.
pub fn write(table: &mut [u8], index: usize, entry: L2Entry) -> bool {
    let bytes = index
        .checked_mul(8)
        .and_then(|start| table.get_mut(start..))
        .and_then(|rest| rest.first_chunk_mut::<8>());
    match bytes {
        Some(bytes) => {
            *bytes = entry.0.to_be_bytes();
            true
        }
        None => false,
    }
}

#[cfg(test)]
mod tests;
