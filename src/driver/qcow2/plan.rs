//! A write is prepared, its data is written, then its mapping is committed.

use std::ops::Range;

use super::metadata::{FreeReason, Metadata};
use super::overlap::Area;
use super::tables::TableKind;
use crate::base::{Error, GuestOffset, HostOffset, Result};
use crate::format::qcow2::lookup::{Corruption, Hex};
use crate::format::qcow2::{Cluster, Geometry, L2Entry, Subcluster, l2_entry};

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
    /// The clusters were allocated by this plan (otherwise a cluster's own place is used).
    pub(super) allocated: bool,
    /// What of the clusters is written: the request, and around it what would lose its content.
    pub(super) covered: Covered,
    /// What is covered holds data from now on: not so when clusters are only reserved.
    pub(super) holds_data: bool,
    /// What the covered bytes before the request read as.
    pub(super) head: Surroundings,
    /// What the covered bytes behind the request read as.
    pub(super) tail: Surroundings,
}

/// A guest range that a change writes; it begins in the change's first cluster and ends in its last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Covered {
    pub(super) from: GuestOffset,
    pub(super) to: GuestOffset,
}

impl MappingChange {
    /// Where the covered bytes go.
    pub(super) const fn covered_host(&self) -> HostOffset {
        self.host
            .saturating_plus(self.covered.from.distance_from(self.first))
    }

    /// The covered subclusters of the cluster that is `step` clusters behind the first.
    fn subclusters(&self, geometry: &Geometry, step: u64) -> Range<u32> {
        let start = self.covered.from.distance_from(self.first);
        let end = self.covered.to.distance_from(self.first);
        touched(geometry, start, end, step)
    }

    /// The entry of that cluster once the change is made.
    fn entry(&self, geometry: &Geometry, step: u64, old: L2Entry) -> L2Entry {
        let host = self.host.saturating_plus(step * geometry.cluster_size());
        let new = L2Entry::data(host);
        if !geometry.extended_l2() {
            return new;
        }
        let bits = old.subclusters();
        if self.holds_data {
            new.with_subclusters(bits.with_data(&self.subclusters(geometry, step)))
        } else {
            new.with_subclusters(bits)
        }
    }
}

/// The subclusters that bytes from `start` to `end` touch in the cluster that is `step` clusters behind the first:
/// the bytes are counted from there.
fn touched(geometry: &Geometry, start: u64, end: u64, step: u64) -> Range<u32> {
    let cluster_size = geometry.cluster_size();
    let base = step * cluster_size;
    let inside = |byte: u64| byte.saturating_sub(base).min(cluster_size);
    let index = |units: u64| u32::try_from(units).unwrap_or(u32::MAX);
    let unit = geometry.subcluster_size();
    index(inside(start) / unit)..index(inside(end).div_ceil(unit))
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
    const fn of(kind: Subcluster, version: u32) -> Self {
        match kind {
            Subcluster::Zero(_) if version < 3 => Self::Stored,
            Subcluster::Unallocated(_) => Self::Backing,
            Subcluster::Zero(_) => Self::Zero,
            Subcluster::Data(_) | Subcluster::Compressed(_) | Subcluster::Invalid => Self::Stored,
        }
    }
}

/// How a cluster takes a write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// All of it is data.
    InPlace(HostOffset),
    /// Its own place is used, but not all that is there is data yet.
    Revive(HostOffset),
    New,
}

impl Way {
    fn of(geometry: &Geometry, entry: L2Entry) -> Self {
        match entry.cluster(geometry) {
            Cluster::Normal(host) if entry.copied() && geometry.extended_l2() => Self::Revive(host),
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

    /// Where, in the first cluster, writing has to begin for a request that begins at `in_cluster`; and what lies
    /// between.
    fn head(self, geometry: &Geometry, entry: L2Entry, in_cluster: u64) -> (u64, Subcluster) {
        let unit = geometry.subcluster_size();
        let index = touched(geometry, in_cluster, in_cluster + 1, 0).start;
        let (kind, _) = entry.subclusters_from(geometry, index);
        let start = u64::from(index) * unit;
        match (self, kind) {
            (Self::InPlace(_) | Self::Revive(_), Subcluster::Data(_)) => (in_cluster, kind),
            (Self::New, Subcluster::Compressed(_)) => (0, kind),
            (Self::New, _) => match (entry.subclusters().data_span(), kind.host()) {
                (Some(span), Some(host)) if span.start < index => {
                    (u64::from(span.start) * unit, Subcluster::Data(host))
                }
                _ => (start, kind),
            },
            _ => (start, kind),
        }
    }

    /// Where, in the last cluster, writing has to end for a request that ends at `in_cluster`.
    fn tail(self, geometry: &Geometry, entry: L2Entry, in_cluster: u64) -> (u64, Subcluster) {
        let unit = geometry.subcluster_size();
        let last = in_cluster.saturating_sub(1);
        let index = touched(geometry, last, in_cluster, 0).start;
        let (kind, _) = entry.subclusters_from(geometry, index);
        let end = u64::from(index + 1) * unit;
        match (self, kind) {
            (Self::InPlace(_) | Self::Revive(_), Subcluster::Data(_)) => (in_cluster, kind),
            (Self::New, Subcluster::Compressed(_)) => (geometry.cluster_size(), kind),
            (Self::New, _) => match (entry.subclusters().data_span(), kind.host()) {
                (Some(span), Some(host)) if span.end > index + 1 => {
                    (u64::from(span.end) * unit, Subcluster::Data(host))
                }
                _ => (end, kind),
            },
            _ => (end, kind),
        }
    }
}

/// A run of clusters that go the same way.
struct Scan {
    way: Way,
    first: L2Entry,
    last: L2Entry,
    clusters: u64,
    /// All subclusters that the request touches hold data.
    all_data: bool,
}

/// What a write asks for, counted from the start of its first cluster.
#[derive(Clone, Copy)]
struct Request {
    start: u64,
    end: u64,
}

/// The longest run from `index` on, at most `limit` clusters; `None` past the table's end, or where subclusters
/// contradict each other.
fn scan_run(
    geometry: &Geometry,
    table: &[u8],
    index: usize,
    limit: u64,
    request: Request,
) -> Option<Scan> {
    let entry_at = |step: u64| {
        let entry = l2_entry::read(geometry, table, index + usize::try_from(step).ok()?)?;
        let valid = entry.subclusters_from(geometry, 0).0 != Subcluster::Invalid;
        valid.then_some(entry)
    };
    let holds_data = |entry: L2Entry, step: u64| {
        let subclusters = touched(geometry, request.start, request.end, step);
        entry.subclusters().all_data(&subclusters)
    };
    let first = entry_at(0)?;
    let way = Way::of(geometry, first);
    let mut scan = Scan {
        way,
        first,
        last: first,
        clusters: 1,
        all_data: holds_data(first, 0),
    };
    while scan.clusters < limit {
        let Some(entry) = entry_at(scan.clusters) else {
            break;
        };
        let distance = scan.clusters << geometry.cluster_bits();
        if !way.continues(Way::of(geometry, entry), distance) {
            break;
        }
        scan.all_data &= holds_data(entry, scan.clusters);
        scan.last = entry;
        scan.clusters += 1;
    }
    Some(scan)
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
        let request = Request {
            start: in_cluster,
            end: in_cluster + length,
        };
        let place = (table, index, offset);
        let mut run = self.scan(place, limit, request)?;
        let first = offset.align_down(cluster_size);
        let (host, allocated) = match run.way {
            Way::Revive(host) if !geometry.extended_l2() => {
                self.require_aligned("Preallocated zero cluster", host, offset)?;
                (host, false)
            }
            Way::InPlace(host) | Way::Revive(host) => {
                self.require_aligned("Data cluster", host, offset)?;
                (host, false)
            }
            // A data file has one place for each cluster.
            Way::New if geometry.external_data() => (HostOffset::new(first.bytes()), true),
            Way::New => {
                let (host, found) = self.allocate_data(run.clusters, previous)?;
                if found < run.clusters {
                    run = self.scan(place, found, request)?;
                }
                (host, true)
            }
        };
        let clusters = run.clusters;
        let bytes = clusters * cluster_size;
        if geometry.external_data() {
            self.finish_data_discards(host, bytes)?;
        } else {
            self.guard_write(host, bytes, Area::Data)?;
        }
        let length = length.min(clusters * cluster_size - in_cluster);
        let in_place =
            matches!(run.way, Way::InPlace(_)) || (!matches!(run.way, Way::New) && run.all_data);
        let change =
            (!in_place).then(|| self.mapping_change(&run, offset, length, (host, allocated)));
        Ok(WritePlan {
            guest: offset,
            host: host.plus(in_cluster)?,
            length,
            change,
        })
    }

    /// The run of clusters at an entry of a table; subclusters that contradict each other mark the image corrupt.
    fn scan(
        &mut self,
        (table, index, offset): (HostOffset, usize, GuestOffset),
        limit: u64,
        request: Request,
    ) -> Result<Scan> {
        let geometry = self.geometry;
        // Allocation may have pushed the table out.
        self.load(TableKind::L2, table)?;
        let bytes = self.l2_tables.peek(table).ok_or_else(Error::eio)?;
        if let Some(scan) = scan_run(&geometry, bytes, index, limit, request) {
            return Ok(scan);
        }
        if let Some(entry) = l2_entry::read(&geometry, bytes, index)
            && let Way::Revive(host) = Way::of(&geometry, entry)
        {
            self.require_aligned("Data cluster", host, offset)?;
        }
        Err(self.corrupt(&Corruption::ContradictorySubclusters {
            l2_table: table.bytes(),
            l2_index: index,
            writing: true,
        }))
    }

    /// What a run of clusters becomes once its data is written.
    fn mapping_change(
        &self,
        run: &Scan,
        offset: GuestOffset,
        length: u64,
        (host, allocated): (HostOffset, bool),
    ) -> MappingChange {
        let geometry = &self.geometry;
        let version = self.header.version;
        let first = offset.align_down(geometry.cluster_size());
        let start = geometry.in_cluster(offset);
        let before_last = (run.clusters - 1) * geometry.cluster_size();
        let (from, head) = run.way.head(geometry, run.first, start);
        let end = (start + length).saturating_sub(before_last);
        let (to, tail) = run.way.tail(geometry, run.last, end);
        MappingChange {
            first,
            host,
            clusters: run.clusters,
            allocated,
            covered: Covered {
                from: first.saturating_plus(from),
                to: first.saturating_plus(before_last + to),
            },
            holds_data: true,
            head: Surroundings::of(head, version),
            tail: Surroundings::of(tail, version),
        }
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
    /// it must be durable before the mapping (qcow2 §11). So must be all data that the mapping did not show: what
    /// its place held before is another sector's, or was zeroed. A mapping that can't be changed gives the clusters back.
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
        if copied || change.holds_data {
            self.require_file_first(TableKind::L2);
        }
        // Only this change may leave its refcounts for later; all others count first.
        if let Err(error) = self.begin_change() {
            self.abandon_write(change);
            return Err(error);
        }
        let mut replaced = Vec::new();
        let changed = self.change_l2(table, index, count, |step, old| {
            let place = change
                .host
                .saturating_plus(step as u64 * geometry.cluster_size());
            // By the cluster, not by the entry's bits: in a data file place 0 is a place.
            let now = match old.cluster(&geometry) {
                Cluster::Normal(host) | Cluster::ZeroAllocated(host) => Some(host),
                _ => None,
            };
            if !change.allocated && now != Some(place) {
                // Discarded meanwhile: the place is somebody else's.
                return old;
            }
            let stored = !matches!(
                old.cluster(&geometry),
                Cluster::Unallocated | Cluster::ZeroPlain
            );
            if change.allocated && !geometry.external_data() && stored {
                replaced.push(old);
            }
            change.entry(&geometry, step as u64, old)
        });
        if let Err(error) = changed {
            self.abandon_write(change);
            return Err(error);
        }
        self.free_entries(&replaced, FreeReason::Other);
        Ok(())
    }

    /// Gives back what a plan allocated when its data could not be written.
    pub(super) fn abandon_write(&mut self, change: &MappingChange) {
        if change.allocated && !self.geometry.external_data() {
            let first = self.geometry.host_cluster(change.host);
            // The caller reports why the write failed; a failure to clean up leaks at worst.
            self.free_clusters(first, change.clusters, FreeReason::Never);
        }
    }
}
