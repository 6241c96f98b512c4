//! The parts of a cluster that extended L2 entries tell apart (qcow2 §3).

use std::ops::Range;

use super::compressed_descriptor::CompressedDescriptor;
use super::geometry::Geometry;
use super::l2_entry::{Cluster, L2Entry};
use crate::base::HostOffset;

/// All 32 subclusters read as zeros.
pub const ALL_ZERO: SubclusterBits = SubclusterBits(0xffff_ffff_0000_0000);

/// The second half of an extended L2 entry: two bits for each of 32 subclusters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubclusterBits(u64);

impl SubclusterBits {
    /// No subcluster says anything.
    pub const NONE: Self = Self(0);

    /// The bits as stored.
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// The bits as stored.
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// A bit for each subcluster whose data is in the cluster.
    pub const fn allocated(self) -> u32 {
        (self.0 & 0xffff_ffff) as u32
    }

    /// A bit for each subcluster that reads as zeros.
    pub const fn zero(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// A subcluster can't be both.
    pub const fn is_contradictory(self) -> bool {
        self.allocated() & self.zero() != 0
    }

    /// The same with data in a range of subclusters.
    #[must_use]
    pub fn with_data(self, range: &Range<u32>) -> Self {
        let mask = mask(range);
        Self((self.0 & !(mask << 32)) | mask)
    }

    /// The same with zeros in a range of subclusters.
    #[must_use]
    pub fn with_zeros(self, range: &Range<u32>) -> Self {
        let mask = mask(range);
        Self((self.0 & !mask) | mask << 32)
    }

    /// Whether all of a range holds data.
    pub fn all_data(self, range: &Range<u32>) -> bool {
        self.0 & mask(range) == mask(range)
    }

    /// From the first to the last subcluster with data, if any has.
    pub const fn data_span(self) -> Option<Range<u32>> {
        match self.allocated() {
            0 => None,
            bits => Some(bits.trailing_zeros()..u32::BITS - bits.leading_zeros()),
        }
    }

    /// How many subclusters from `index` on are like the one there: at least one.
    fn same_from(self, index: u32) -> u32 {
        let like = |bits: u32| {
            let rest = bits >> index;
            let run = if rest & 1 == 1 {
                rest.trailing_ones()
            } else {
                rest.trailing_zeros()
            };
            // What is shifted in counts as zeros.
            run.min(u32::BITS - index)
        };
        like(self.allocated()).min(like(self.zero()))
    }
}

/// The lower 32 bits that stand for a range.
fn mask(range: &Range<u32>) -> u64 {
    let below = |end: u32| (1_u64 << end.min(32)) - 1;
    below(range.end) & !below(range.start)
}

/// What one subcluster is; a standard entry's cluster is its own only subcluster. Places are the cluster's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subcluster {
    /// The backing file's, or zeros, whether or not the cluster has a place.
    Unallocated(Option<HostOffset>),
    /// Zeros, whether or not the cluster has a place.
    Zero(Option<HostOffset>),
    /// Data in the cluster at that place.
    Data(HostOffset),
    /// Compressed data.
    Compressed(CompressedDescriptor),
    /// The cluster's bits contradict each other, or its place.
    Invalid,
}

impl Subcluster {
    /// The place of its cluster, when that is not compressed.
    pub const fn host(self) -> Option<HostOffset> {
        match self {
            Self::Unallocated(host) | Self::Zero(host) => host,
            Self::Data(host) => Some(host),
            Self::Compressed(_) | Self::Invalid => None,
        }
    }
}

impl L2Entry {
    /// The subcluster at `index`, and how many from there on to the cluster's end are the same.
    pub fn subclusters_from(self, geometry: &Geometry, index: u32) -> (Subcluster, u32) {
        let bits = self.subclusters();
        let place = match self.cluster(geometry) {
            Cluster::Unallocated if !geometry.extended_l2() => {
                return (Subcluster::Unallocated(None), 1);
            }
            Cluster::ZeroPlain => return (Subcluster::Zero(None), 1),
            Cluster::ZeroAllocated(host) => return (Subcluster::Zero(Some(host)), 1),
            Cluster::Normal(host) if !geometry.extended_l2() => {
                return (Subcluster::Data(host), 1);
            }
            Cluster::Compressed(descriptor) => {
                let rest = geometry.subclusters().saturating_sub(index);
                return (Subcluster::Compressed(descriptor), rest);
            }
            Cluster::Unallocated => None,
            Cluster::Normal(host) => Some(host),
        };
        let index = index.min(u32::BITS - 1);
        if bits.is_contradictory() || (place.is_none() && bits.allocated() != 0) {
            return (Subcluster::Invalid, 1);
        }
        let kind = match place {
            Some(host) if bits.allocated() >> index & 1 == 1 => Subcluster::Data(host),
            _ if bits.zero() >> index & 1 == 1 => Subcluster::Zero(place),
            _ => Subcluster::Unallocated(place),
        };
        (kind, bits.same_from(index))
    }
}

#[cfg(test)]
mod tests;
