//! Entries of a bitmap's table.

use crate::base::HostOffset;

/// Bits 9 to 55.
const OFFSET_MASK: u64 = 0x00ff_ffff_ffff_fe00;
/// Without an offset: all bits of the cluster are set.
const ALL_ONES: u64 = 1;

/// A cluster's worth of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableEntry {
    /// All clear; nothing is stored.
    Zeros,
    /// All set; nothing is stored.
    Ones,
    /// Stored in the cluster at that offset.
    Stored(HostOffset),
}

impl TableEntry {
    /// `None` for reserved bits, an offset that is not a cluster's, or one beside the all-ones bit.
    pub const fn parse(raw: u64, cluster_size: u64) -> Option<Self> {
        let offset = raw & OFFSET_MASK;
        let rest = raw & !OFFSET_MASK;
        if rest & !ALL_ONES != 0 {
            return None;
        }
        match (offset, rest) {
            (0, 0) => Some(Self::Zeros),
            (0, _) => Some(Self::Ones),
            (_, 0) if offset & (cluster_size - 1) == 0 => {
                Some(Self::Stored(HostOffset::new(offset)))
            }
            _ => None,
        }
    }

    /// The entry as stored.
    pub const fn raw(self) -> u64 {
        match self {
            Self::Zeros => 0,
            Self::Ones => ALL_ONES,
            Self::Stored(offset) => offset.bytes(),
        }
    }
}
