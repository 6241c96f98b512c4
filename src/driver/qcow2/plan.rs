//! A write is prepared, its data is written, then its mapping is committed.

use super::metadata::{FreeReason, Metadata};
use super::overlap::Area;
use super::tables::TableKind;
use crate::base::{Error, GuestOffset, HostOffset, Result};
use crate::format::qcow2::lookup::Hex;
use crate::format::qcow2::{Cluster, Geometry, L2Entry, l2_entry};

/// Where a run of guest bytes goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct WritePlan {
    /// First guest byte.
    pub(super) guest: GuestOffset,
    /// Where it goes.
    pub(super) host: HostOffset,
    /// Bytes, contiguous in the file.
    pub(super) length: u64,
    /// The clusters whose mapping changes; `None` for a write in place.
    pub(super) change: Option<MappingChange>,
}

/// Clusters that get a new mapping once their data is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct MappingChange {
    /// Guest offset of the first cluster.
    pub(super) first: GuestOffset,
    /// Where it will be.
    pub(super) host: HostOffset,
    /// Number of clusters.
    pub(super) clusters: u64,
    /// The clusters were allocated by this plan (otherwise a zero cluster's own place is used).
    pub(super) allocated: bool,
    /// What the first cluster's other bytes read as.
    pub(super) head: Surroundings,
    /// What the last cluster's other bytes read as.
    pub(super) tail: Surroundings,
}

/// What the bytes around a partial write read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Surroundings {
    /// Zeros.
    Zero,
    /// The backing node's content.
    Backing,
    /// This image's content.
    Stored,
}

impl WritePlan {
    /// The cluster of the file behind the run, when the run ends with a whole cluster.
    pub(super) fn neighbour(&self, cluster_size: u64) -> Option<HostOffset> {
        let end = self.host.saturating_plus(self.length);
        end.is_aligned(cluster_size).then_some(end)
    }
}

impl Surroundings {
    /// A zero cluster before version 3 is a corruption that reading it reports (errata 50).
    const fn of(cluster: Cluster, version: u32) -> Self {
        match cluster {
            Cluster::ZeroPlain | Cluster::ZeroAllocated(_) if version < 3 => Self::Stored,
            Cluster::Unallocated => Self::Backing,
            Cluster::ZeroPlain | Cluster::ZeroAllocated(_) => Self::Zero,
            Cluster::Normal(_) | Cluster::Compressed(_) => Self::Stored,
        }
    }
}

/// How a cluster takes a write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    InPlace(HostOffset),
    /// A zero cluster whose own place is used.
    Revive(HostOffset),
    New,
}

impl Way {
    fn of(cluster: Cluster, entry: L2Entry) -> Self {
        match cluster {
            Cluster::Normal(host) if entry.copied() => Self::InPlace(host),
            Cluster::ZeroAllocated(host) if entry.copied() => Self::Revive(host),
            _ => Self::New,
        }
    }

    /// Whether a cluster `distance` bytes further on goes the same way, contiguously.
    fn continues(self, next: Self, distance: u64) -> bool {
        match (self, next) {
            (Self::InPlace(first), Self::InPlace(next))
            | (Self::Revive(first), Self::Revive(next)) => {
                next.bytes() == first.bytes().saturating_add(distance)
            }
            (Self::New, Self::New) => true,
            _ => false,
        }
    }
}

/// A run of clusters that go the same way.
struct Scan {
    way: Way,
    first_cluster: Cluster,
    last_cluster: Cluster,
    clusters: u64,
}

/// The longest run from `index` on, at most `limit` clusters; `None` past the table's end.
fn scan_run(geometry: &Geometry, table: &[u8], index: usize, limit: u64) -> Option<Scan> {
    let entry = l2_entry::read(table, index)?;
    let first_cluster = entry.cluster(geometry);
    let way = Way::of(first_cluster, entry);
    let mut last_cluster = first_cluster;
    let mut clusters = 1;
    while clusters < limit {
        let at = index.checked_add(usize::try_from(clusters).ok()?)?;
        let entry = l2_entry::read(table, at)?;
        let cluster = entry.cluster(geometry);
        if !way.continues(Way::of(cluster, entry), clusters << geometry.cluster_bits()) {
            break;
        }
        last_cluster = cluster;
        clusters += 1;
    }
    Some(Scan {
        way,
        first_cluster,
        last_cluster,
        clusters,
    })
}

impl Metadata {
    /// Decides where the next bytes of a write go: the longest run of one way, inside one L2 table.
    ///
    /// `previous`: where the run before it in the same request ends; its neighbour is tried first (qcow2 §8).
    pub(super) fn prepare_write(
        &mut self,
        offset: GuestOffset,
        length: u64,
        previous: Option<HostOffset>,
    ) -> Result<WritePlan> {
        let table = self.writable_l2(offset)?;
        let geometry = self.geometry;
        let cluster_size = geometry.cluster_size();
        let index = geometry.l2_index(offset);
        let in_cluster = geometry.in_cluster(offset);
        let wanted = (in_cluster + length).div_ceil(cluster_size);
        let limit = wanted.min(geometry.l2_entries() - index as u64);
        let scan = |metadata: &Self, limit: u64| {
            let table = metadata.l2_tables.peek(table).ok_or_else(Error::eio)?;
            scan_run(&geometry, table, index, limit).ok_or_else(Error::eio)
        };
        let Scan {
            way,
            first_cluster,
            mut last_cluster,
            mut clusters,
        } = scan(self, limit)?;
        let first = offset.align_down(cluster_size);
        let (host, allocated) = match way {
            Way::InPlace(host) => {
                self.require_aligned("Data cluster", host, first)?;
                (host, false)
            }
            Way::Revive(host) => {
                self.require_aligned("Preallocated zero cluster", host, first)?;
                (host, false)
            }
            // A data file has one place for each cluster.
            Way::New if geometry.external_data() => (HostOffset::new(first.bytes()), true),
            Way::New => {
                let (host, found) = self.allocate_data(clusters, previous)?;
                if found < clusters {
                    // Loaded again: allocation may have pushed the table out.
                    self.load(TableKind::L2, table)?;
                    last_cluster = scan(self, found)?.last_cluster;
                }
                clusters = found;
                (host, true)
            }
        };
        if !geometry.external_data() {
            self.guard_write(host, clusters * cluster_size, Area::Data)?;
        }
        let length = length.min(clusters * cluster_size - in_cluster);
        let change = (!matches!(way, Way::InPlace(_))).then_some(MappingChange {
            first,
            host,
            clusters,
            allocated,
            head: Surroundings::of(first_cluster, self.header.version),
            tail: Surroundings::of(last_cluster, self.header.version),
        });
        Ok(WritePlan {
            guest: offset,
            host: host.plus(in_cluster)?,
            length,
            change,
        })
    }

    fn require_aligned(&mut self, what: &str, host: HostOffset, guest: GuestOffset) -> Result<()> {
        if host.is_aligned(self.geometry.cluster_size()) {
            return Ok(());
        }
        Err(self.mark_corrupt(&format!(
            "{what} offset {} unaligned (guest offset: {})",
            Hex(host.bytes()),
            Hex(guest.bytes())
        )))
    }

    /// Clusters for guest data, and how many: fewer than asked for only next to `previous`.
    fn allocate_data(
        &mut self,
        clusters: u64,
        previous: Option<HostOffset>,
    ) -> Result<(HostOffset, u64)> {
        if let Some(neighbour) = previous {
            let found = self.allocate_at(neighbour, clusters)?;
            if found > 0 {
                return Ok((neighbour, found));
            }
        }
        let host = self.allocate_clusters(clusters)?;
        if host == HostOffset::ZERO {
            // Usually caught by the overlap check, in its words; never written to even without it.
            self.guard_write(host, self.geometry.cluster_size(), Area::Data)?;
            return Err(Error::eio());
        }
        Ok((host, clusters))
    }

    /// Points the mapping at the written clusters and frees what they replace. `copied`: data was moved here, so
    /// it must be durable before the mapping (qcow2 §11). A mapping that can't be changed gives the clusters back.
    pub(super) fn commit_write(&mut self, change: &MappingChange, copied: bool) -> Result<()> {
        let table = match self.writable_l2(change.first) {
            Ok(table) => table,
            Err(error) => {
                self.abandon_write(change);
                return Err(error);
            }
        };
        let geometry = self.geometry;
        let index = geometry.l2_index(change.first);
        let count = usize::try_from(change.clusters).unwrap_or(usize::MAX);
        if copied {
            self.require_file_first(TableKind::L2);
        }
        // Only this change may leave its refcounts for later; all others count first.
        if let Err(error) = self.begin_change() {
            self.abandon_write(change);
            return Err(error);
        }
        let mut replaced = Vec::new();
        let changed = self.change_l2(table, index, count, |step, old| {
            let host = change
                .host
                .saturating_plus(step as u64 * geometry.cluster_size());
            if change.allocated
                && !geometry.external_data()
                && old.cluster(&geometry) != Cluster::Unallocated
                && old != L2Entry::ZERO_PLAIN
            {
                replaced.push(old);
            }
            L2Entry::data(host)
        });
        if let Err(error) = changed {
            self.abandon_write(change);
            return Err(error);
        }
        self.free_entries(&replaced, FreeReason::Other)
    }

    /// Gives back what a plan allocated when its data could not be written.
    pub(super) fn abandon_write(&mut self, change: &MappingChange) {
        if change.allocated && !self.geometry.external_data() {
            let first = self.geometry.host_cluster(change.host);
            // The caller reports why the write failed; a failure to clean up leaks at worst.
            let _ = self.free_clusters(first, change.clusters, FreeReason::Never);
        }
    }
}
