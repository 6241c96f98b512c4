//! Offsets that can't be mixed up. All are in bytes; arithmetic is checked.

use std::fmt;

use super::error::{Error, Result, errno};

macro_rules! offset_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            /// Offset zero.
            pub const ZERO: Self = Self(0);

            /// An offset of that many bytes.
            pub const fn new(bytes: u64) -> Self {
                Self(bytes)
            }

            /// The offset in bytes.
            pub const fn bytes(self) -> u64 {
                self.0
            }

            /// `self + bytes`, or EFBIG when that is past 2^64.
            pub fn plus(self, bytes: u64) -> Result<Self> {
                self.0.checked_add(bytes).map(Self).ok_or_else(|| Error::bare(errno::EFBIG))
            }

            /// `self + bytes`, stopping at 2^64-1: for loop bounds that an earlier check keeps far from it.
            #[must_use]
            pub const fn saturating_plus(self, bytes: u64) -> Self {
                Self(self.0.saturating_add(bytes))
            }

            /// Bytes from `earlier` to `self`; 0 when `earlier` lies behind.
            pub const fn distance_from(self, earlier: Self) -> u64 {
                self.0.saturating_sub(earlier.0)
            }

            /// The position inside a block of `block` bytes (a power of two).
            pub const fn within(self, block: u64) -> u64 {
                self.0 & (block - 1)
            }

            /// Rounded down to a multiple of `block` (a power of two).
            #[must_use]
            pub const fn align_down(self, block: u64) -> Self {
                Self(self.0 & !(block - 1))
            }

            /// True when a multiple of `block` (a power of two).
            pub const fn is_aligned(self, block: u64) -> bool {
                self.within(block) == 0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
    };
}

offset_type!(
    /// A byte position on the disk that a guest (or a user of the node) sees.
    GuestOffset
);
offset_type!(
    /// A byte position in the file (node) that stores an image.
    HostOffset
);
offset_type!(
    /// A byte position behind the header of a standalone LUKS volume.
    PayloadOffset
);
