//! The request sizes that a blkdebug node pretends to need.

use crate::base::{Error, Result};

/// Alignments and largest sizes, in bytes; 0: as the node below has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// `align`
    pub align: u64,
    /// `max-transfer`
    pub max_transfer: u64,
    /// `opt-write-zero`
    pub opt_write_zero: u64,
    /// `max-write-zero`
    pub max_write_zero: u64,
    /// `opt-discard`
    pub opt_discard: u64,
    /// `max-discard`
    pub max_discard: u64,
}

/// Larger than any request that the real tools make.
const LIMIT_MAX: u64 = 1 << 31;

impl Limits {
    /// Refuses what can't be met on a node whose requests are multiples of `below`.
    pub fn check(&self, below: u64) -> Result<()> {
        if self.align >= LIMIT_MAX || (self.align != 0 && !self.align.is_power_of_two()) {
            return Err(unmet("align", self.align));
        }
        let align = self.align.max(below).max(1);
        let multiples = [
            ("max-transfer", self.max_transfer, align),
            ("opt-write-zero", self.opt_write_zero, align),
            (
                "max-write-zero",
                self.max_write_zero,
                align.max(self.opt_write_zero),
            ),
            ("opt-discard", self.opt_discard, align),
            ("max-discard", self.max_discard, align.max(self.opt_discard)),
        ];
        for (name, value, unit) in multiples {
            if value >= LIMIT_MAX || !value.is_multiple_of(unit) {
                return Err(unmet(name, value));
            }
        }
        Ok(())
    }
}

fn unmet(name: &str, value: u64) -> Error {
    Error::caller(format!("Cannot meet constraints with {name} {value}"))
}

/// Cuts a range into a first piece up to a multiple of `unit`, pieces of at most `largest`, and the rest.
pub(super) fn pieces(offset: u64, length: u64, unit: u64, largest: u64) -> Vec<(u64, u64)> {
    let mut pieces = Vec::new();
    let largest = if largest == 0 { u64::MAX } else { largest };
    let (mut position, end) = (offset, offset.saturating_add(length));
    while position < end {
        let left = end - position;
        let mut piece = left.min(largest);
        if unit > 1 {
            let within = position % unit;
            if within != 0 {
                piece = left.min(unit - within);
            } else if piece > unit {
                piece -= piece % unit;
            }
        }
        pieces.push((position, piece));
        position += piece;
    }
    pieces
}
