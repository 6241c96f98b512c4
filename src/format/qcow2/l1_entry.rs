//! Entries of the L1 table (qcow2 §3).

use crate::base::HostOffset;

/// Bits 9 to 55: where a table or cluster lies.
pub const OFFSET_MASK: u64 = 0x00ff_ffff_ffff_fe00;
/// Bit 63: the count of what the entry points at is exactly one.
pub const COPIED: u64 = 1 << 63;

/// One L1 entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct L1Entry(u64);

impl L1Entry {
    /// No L2 table.
    pub const EMPTY: Self = Self(0);

    /// The entry as stored.
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// An entry that points at an L2 table.
    pub const fn table(offset: HostOffset, copied: bool) -> Self {
        Self((offset.bytes() & OFFSET_MASK) | if copied { COPIED } else { 0 })
    }

    /// The entry as stored.
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// The L2 table, if there is one. Reserved bits are ignored (qcow2 §3).
    pub const fn l2_table(self) -> Option<HostOffset> {
        match self.0 & OFFSET_MASK {
            0 => None,
            offset => Some(HostOffset::new(offset)),
        }
    }

    /// The L2 table belongs to the active state alone.
    pub const fn copied(self) -> bool {
        self.0 & COPIED != 0
    }

    /// The same entry with the flag changed.
    #[must_use]
    pub const fn with_copied(self, copied: bool) -> Self {
        Self((self.0 & !COPIED) | if copied { COPIED } else { 0 })
    }

    /// Bits that should be zero and are not: for `check`.
    pub const fn reserved_bits(self) -> u64 {
        self.0 & !(OFFSET_MASK | COPIED)
    }
}
