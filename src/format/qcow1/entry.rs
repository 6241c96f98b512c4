//! L2 entries (qcow1 §3, §4).

use super::geometry::Geometry;
use crate::base::HostOffset;
use crate::base::iv_sector::SECTOR_SIZE;

const COMPRESSED: u64 = 1 << 63;

/// What an L2 entry says about its guest cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// Nothing here: the backing file, or zeros.
    Unallocated,
    /// Stored as it is (or encrypted) from this byte on.
    Normal(HostOffset),
    /// Raw deflate of the cluster, never encrypted.
    Compressed {
        /// First byte.
        offset: HostOffset,
        /// Bytes, below the cluster size. 0 can't be decoded.
        length: usize,
    },
}

/// An L2 entry that points to a place where no cluster can lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the L2 entry {0:#x} is not a multiple of 512")]
pub struct Misaligned(pub u64);

impl From<Misaligned> for crate::base::Error {
    fn from(error: Misaligned) -> Self {
        // The real tool has no words for this, only the errno.
        Self::eio().with_source(error)
    }
}

impl Mapping {
    /// Decodes an L2 entry.
    pub fn decode(entry: u64, geometry: &Geometry) -> Result<Self, Misaligned> {
        if entry == 0 {
            return Ok(Self::Unallocated);
        }
        if entry & COMPRESSED == 0 {
            // qcow1 §3: a multiple of 512, not of the cluster size.
            return if entry.is_multiple_of(SECTOR_SIZE as u64) {
                Ok(Self::Normal(HostOffset::new(entry)))
            } else {
                Err(Misaligned(entry))
            };
        }
        let shift = 63 - geometry.cluster_bits();
        let offset = entry & ((1 << shift) - 1);
        let length = (entry >> shift) & (geometry.cluster_size() - 1);
        Ok(Self::Compressed {
            offset: HostOffset::new(offset),
            length: usize::try_from(length).map_err(|_| Misaligned(entry))?,
        })
    }

    /// The L2 entry; `None` when a compressed cluster lies or is longer than the descriptor can say.
    pub fn encode(self, geometry: &Geometry) -> Option<u64> {
        match self {
            Self::Unallocated => Some(0),
            Self::Normal(offset) if offset.bytes() & COMPRESSED == 0 => Some(offset.bytes()),
            Self::Normal(_) => None,
            Self::Compressed { offset, length } => {
                let shift = 63 - geometry.cluster_bits();
                let length = length as u64;
                let fits = offset.bytes() >> shift == 0 && length < geometry.cluster_size();
                fits.then_some(COMPRESSED | (length << shift) | offset.bytes())
            }
        }
    }
}

#[cfg(test)]
mod tests;
