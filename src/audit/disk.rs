//! What an image stores, cluster by cluster, in the active state and in each snapshot: the same view of qcow v1,
//! qcow2 and LUKS, so that each question is asked once.

use crate::base::{GuestOffset, HostOffset, Result};
use crate::node::HostFile;

/// One state of the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layer {
    /// `active`, or the snapshot's id and name.
    pub name: String,
    /// Bytes of the disk in this state.
    pub disk_size: u64,
    /// Bytes of the machine's memory saved with it.
    pub vm_state_size: u64,
}

/// How a stored cluster is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Storage {
    /// As it is, or encrypted. A bit for each 1/32 of the cluster that is in use.
    Normal(u32),
    /// Reads as zeros; what was there before is kept.
    Kept,
    /// Compressed into that many bytes at most, never encrypted.
    Compressed(u64),
}

/// A guest cluster's place in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored<'a> {
    /// First byte.
    pub host: HostOffset,
    /// How.
    pub storage: Storage,
    /// The layers that have it there: indices into [`Disk::layers`], ascending.
    pub layers: &'a [usize],
}

impl Stored<'_> {
    /// Whether the byte at `within` of a cluster of `cluster_size` bytes is in use.
    pub fn holds(&self, within: u64, cluster_size: u64) -> bool {
        match self.storage {
            Storage::Normal(u32::MAX) => true,
            Storage::Normal(mask) => {
                let subcluster = (cluster_size / 32).max(1);
                mask >> (within / subcluster).min(31) & 1 == 1
            }
            Storage::Kept | Storage::Compressed(_) => false,
        }
    }

    /// Whether guest data is here as it is (or encrypted).
    pub const fn is_normal(&self) -> bool {
        matches!(self.storage, Storage::Normal(_))
    }
}

/// A guest cluster and all its places, each once.
#[derive(Clone, Copy, Debug)]
pub struct Cluster<'a> {
    /// First guest byte; behind the disk for VM state.
    pub guest: GuestOffset,
    /// Bytes of it that belong to the disk or the VM state.
    pub length: u64,
    /// The places.
    pub stored: &'a [Stored<'a>],
}

/// Called for each guest cluster that is stored, in ascending order.
pub type Visit<'a> = &'a mut dyn FnMut(&Cluster<'_>) -> Result<()>;

/// An image's stored clusters.
pub trait Disk: Sync {
    /// The file.
    fn file(&self) -> &HostFile;
    /// Bytes of a cluster.
    fn cluster_size(&self) -> u64;
    /// The active state first, then the snapshots.
    fn layers(&self) -> &[Layer];
    /// Guest offset behind which there is VM state, not disk.
    fn disk_end(&self) -> u64 {
        self.layers()
            .iter()
            .map(|layer| layer.disk_size)
            .max()
            .unwrap_or(0)
    }
    /// Walks over all stored clusters.
    fn walk(&self, visit: Visit<'_>) -> Result<()>;
}
