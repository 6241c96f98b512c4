//! The sector number that makes an initialization vector, and the only three places it can come from.

use super::units::{GuestOffset, HostOffset, PayloadOffset};

/// Bytes that one initialization vector covers, in every container here.
pub const SECTOR_SIZE: usize = 512;

/// The number of the first 512-byte sector of a run handed to a cipher.
///
/// There is no other way to make one than the constructors below, and each names its domain
/// (iv-domains §1). A driver picks the domain once, when it opens an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IvSector(u64);

impl IvSector {
    /// qcow v1 and legacy AES in qcow2: the sector of the guest disk.
    ///
    /// Two snapshots that hold different versions of one guest sector share this number: the known
    /// weakness of legacy AES.
    pub const fn from_guest(offset: GuestOffset) -> Self {
        Self(offset.bytes() / SECTOR_SIZE as u64)
    }

    /// LUKS in qcow2: the sector of the file that stores the cluster.
    pub const fn from_host(offset: HostOffset) -> Self {
        Self(offset.bytes() / SECTOR_SIZE as u64)
    }

    /// Standalone and detached LUKS, and key material: the sector behind the payload's (area's) start.
    pub const fn from_payload(offset: PayloadOffset) -> Self {
        Self(offset.bytes() / SECTOR_SIZE as u64)
    }

    /// The number itself, for IV generators and recorders.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The sector `count` sectors further on, within one run.
    #[must_use]
    pub const fn step(self, count: u64) -> Self {
        Self(self.0.wrapping_add(count))
    }
}
