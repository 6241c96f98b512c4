//! One L2 table: its references counted, its entries judged.

use super::{Finding, ReferenceCounts};
use crate::base::HostOffset;
use crate::format::qcow2::subcluster::SubclusterBits;
use crate::format::qcow2::{Cluster, CompressedDescriptor, Geometry, L2Entry, l2_entry};

/// Bits that mean something in an entry that is not compressed.
const KNOWN_BITS: u64 = 0x80ff_ffff_ffff_fe01;

/// What one table adds to the picture of the active disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fragmentation {
    /// Guest clusters with a place in the file.
    pub allocated: u64,
    /// Of them compressed.
    pub compressed: u64,
    /// Of them not behind their predecessor.
    pub fragmented: u64,
    /// Where the next cluster would continue; 0 before the first.
    next: u64,
}

impl Fragmentation {
    /// Adds another table, `weight` times. Between tables nothing is a fragment.
    pub const fn append(&mut self, table: &Self, weight: u64) {
        self.allocated += table.allocated * weight;
        self.compressed += table.compressed * weight;
        self.fragmented += table.fragmented * weight;
    }

    const fn note(&mut self, offset: u64, cluster_size: u64) {
        self.allocated += 1;
        self.fragmented += (self.next != 0 && self.next != offset) as u64;
        self.next = offset.wrapping_add(cluster_size);
    }
}

/// Counts what a table references, `weight` times, and reports what is wrong with its entries.
///
/// With `mending`, zero clusters with an impossible place are going to lose it ([`mend_l2_table`]): they are
/// reported, not counted.
pub fn count_l2_table(
    geometry: &Geometry,
    bytes: &[u8],
    counts: &ReferenceCounts,
    (weight, mending): (u64, bool),
    report: &mut dyn FnMut(Finding, u64),
) -> Fragmentation {
    let mut fragmentation = Fragmentation::default();
    // Clusters that follow each other are counted at once; before a finding, so that the order stays.
    let mut pending = (0_u64, 0_u64);
    let cluster_size = geometry.cluster_size();
    let zero_plain = L2Entry::zero_plain(geometry);
    for (index, entry) in entries(geometry, bytes) {
        let raw = entry.raw();
        if entry == L2Entry::EMPTY || entry == zero_plain {
            continue;
        }
        let offset = entry.host().map_or(0, HostOffset::bytes);
        if geometry.external_data() {
            judge_external_entry(geometry, index, entry, weight, &mut fragmentation, report);
            continue;
        }
        let sound = raw & !KNOWN_BITS == 0 && !entry.subclusters().is_contradictory();
        if offset != 0 && sound && counts.holds_cluster(offset) {
            fragmentation.note(offset, cluster_size);
            let cluster = offset >> geometry.cluster_bits();
            if pending.0 + pending.1 == cluster {
                pending.1 += 1;
            } else {
                counts.add_clusters(pending.0, pending.1, weight, report);
                pending = (cluster, 1);
            }
            continue;
        }
        counts.add_clusters(pending.0, pending.1, weight, report);
        pending = (0, 0);
        if mending && let Some(offset) = unaligned_zero(geometry, entry) {
            if raw & !KNOWN_BITS != 0 {
                report(Finding::ReservedL2Bits { entry: raw }, weight);
            }
            report(Finding::PreallocatedUnaligned { offset }, weight);
            continue;
        }
        let odd = (index, entry);
        count_odd_entry(geometry, odd, counts, weight, &mut fragmentation, report);
    }
    counts.add_clusters(pending.0, pending.1, weight, report);
    fragmentation
}

/// A table's entries with their indices.
fn entries<'a>(
    geometry: &'a Geometry,
    bytes: &'a [u8],
) -> impl Iterator<Item = (usize, L2Entry)> + 'a {
    (0..).map_while(|index| Some((index, l2_entry::read(geometry, bytes, index)?)))
}

/// The place of a zero cluster that has one but can't.
fn unaligned_zero(geometry: &Geometry, entry: L2Entry) -> Option<u64> {
    let host = entry.host()?;
    let unaligned = !host.is_aligned(geometry.cluster_size());
    (unaligned && holds_no_data(geometry, entry)).then(|| host.bytes())
}

/// A place is kept for the cluster, but what it reads as is not there.
const fn holds_no_data(geometry: &Geometry, entry: L2Entry) -> bool {
    if geometry.extended_l2() {
        entry.subclusters().allocated() == 0
    } else {
        entry.raw() & l2_entry::ZERO != 0
    }
}

/// Takes the place from each zero cluster that has an impossible one; whether there was any.
pub fn mend_l2_table(geometry: &Geometry, bytes: &mut [u8]) -> bool {
    let mut changed = false;
    let mut index = 0;
    while let Some(entry) = l2_entry::read(geometry, bytes, index) {
        if unaligned_zero(geometry, entry).is_some() {
            let mended = if geometry.extended_l2() {
                L2Entry::EMPTY.with_subclusters(entry.subclusters())
            } else {
                L2Entry::zero_plain(geometry)
            };
            l2_entry::write(geometry, bytes, index, mended);
            changed = true;
        }
        index += 1;
    }
    changed
}

/// An entry of an image with a data file: the cluster is not in this file, so nothing counts it.
fn judge_external_entry(
    geometry: &Geometry,
    index: usize,
    entry: L2Entry,
    weight: u64,
    fragmentation: &mut Fragmentation,
    report: &mut dyn FnMut(Finding, u64),
) {
    let raw = entry.raw();
    match entry.cluster(geometry) {
        Cluster::Compressed(place) => {
            if entry.copied() {
                let offset = place.host.bytes();
                report(Finding::CompressedCopied { offset }, weight);
            }
            let entry = entry.with_copied(false).raw();
            report(Finding::CompressedWithDataFile { index, entry }, weight);
        }
        Cluster::Normal(host) | Cluster::ZeroAllocated(host) => {
            report_reserved(raw, weight, report);
            let offset = host.bytes();
            if entry.subclusters().is_contradictory() {
                report(Finding::ContradictorySubclusters { offset }, weight);
            }
            fragmentation.note(offset, geometry.cluster_size());
            if !host.is_aligned(geometry.cluster_size()) {
                report(unaligned(geometry, entry, offset), weight);
            }
        }
        Cluster::Unallocated if entry.subclusters().allocated() != 0 => {
            report_reserved(raw, weight, report);
            report(Finding::SubclustersWithoutPlace, weight);
        }
        Cluster::Unallocated | Cluster::ZeroPlain => report_reserved(raw, weight, report),
    }
}

fn report_reserved(raw: u64, weight: u64, report: &mut dyn FnMut(Finding, u64)) {
    if raw & !KNOWN_BITS != 0 {
        report(Finding::ReservedL2Bits { entry: raw }, weight);
    }
}

/// What is wrong with a place inside a cluster.
const fn unaligned(geometry: &Geometry, entry: L2Entry, offset: u64) -> Finding {
    if holds_no_data(geometry, entry) {
        Finding::PreallocatedUnaligned { offset }
    } else {
        Finding::DataUnaligned { offset }
    }
}

/// Compressed clusters, and entries with something wrong.
fn count_odd_entry(
    geometry: &Geometry,
    (index, entry): (usize, L2Entry),
    counts: &ReferenceCounts,
    weight: u64,
    fragmentation: &mut Fragmentation,
    report: &mut dyn FnMut(Finding, u64),
) {
    let raw = entry.raw();
    if raw & l2_entry::COMPRESSED != 0 {
        let place = CompressedDescriptor::from_raw(geometry, raw);
        let offset = place.host.bytes();
        if entry.copied() {
            report(Finding::CompressedCopied { offset }, weight);
        }
        if entry.subclusters() != SubclusterBits::NONE {
            let entry = entry.with_copied(false).raw();
            report(Finding::CompressedWithSubclusters { index, entry }, weight);
            return;
        }
        counts.add_region(offset, place.length, weight, report);
        fragmentation.allocated += 1;
        fragmentation.compressed += 1;
        // Compressed clusters count as fragments by nature.
        fragmentation.fragmented += 1;
        return;
    }
    report_reserved(raw, weight, report);
    let Some(host) = entry.host() else {
        if entry.subclusters().allocated() != 0 {
            report(Finding::SubclustersWithoutPlace, weight);
        }
        return;
    };
    let offset = host.bytes();
    if entry.subclusters().is_contradictory() {
        report(Finding::ContradictorySubclusters { offset }, weight);
    }
    fragmentation.note(offset, geometry.cluster_size());
    if !host.is_aligned(geometry.cluster_size()) {
        report(unaligned(geometry, entry, offset), weight);
    }
    counts.add_region(offset, geometry.cluster_size(), weight, report);
}

/// Reports entries whose COPIED flag disagrees with the stored count that `refcount` gives.
pub fn compare_copied_flags(
    geometry: &Geometry,
    bytes: &[u8],
    refcount: &mut dyn FnMut(u64) -> Option<u64>,
    report: &mut dyn FnMut(usize, Finding),
) {
    for (index, entry) in entries(geometry, bytes) {
        let Some(host) = entry.host() else {
            continue;
        };
        let cluster = host.bytes() >> geometry.cluster_bits();
        // No snapshot can share what is in a data file.
        let stored = if geometry.external_data() {
            Some(1)
        } else {
            refcount(cluster)
        };
        if let Some(refcount) = stored
            && (refcount == 1) != entry.copied()
        {
            let entry = entry.raw();
            report(index, Finding::CopiedData { entry, refcount });
        }
    }
}

#[cfg(test)]
mod tests;
