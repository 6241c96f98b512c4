//! Where `create` puts things (luks1 §3).

use super::slot::{SLOT_COUNT, STRIPES};

/// Sectors of the header itself: 4096 bytes.
pub const HEADER_SECTORS: u32 = 8;
const ALIGNMENT_SECTORS: u32 = 8;

/// The places of a header area, all in sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    area_sectors: u32,
}

impl Geometry {
    /// The layout for a master key of `key_bytes` bytes.
    ///
    /// The product wraps at 32 bits as in the real tools: the only lengths that wrap are refused a few checks later,
    /// and until then the messages stay the same.
    pub const fn new(key_bytes: u32) -> Self {
        let sectors = key_bytes.wrapping_mul(STRIPES).div_ceil(512);
        Self {
            area_sectors: sectors.next_multiple_of(ALIGNMENT_SECTORS),
        }
    }

    /// Sectors of one slot's key material, with its padding.
    pub const fn area_sectors(self) -> u32 {
        self.area_sectors
    }

    /// Where a slot's key material starts. For key lengths of real ciphers, which are at most 64 bytes.
    pub const fn slot_sector(self, slot: u32) -> u32 {
        HEADER_SECTORS + slot * self.area_sectors
    }

    /// Where the payload starts.
    #[expect(clippy::cast_possible_truncation, reason = "8")]
    pub const fn payload_sector(self) -> u32 {
        self.slot_sector(SLOT_COUNT as u32)
    }
}
