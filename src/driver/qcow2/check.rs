//! `check`: the image's metadata against itself (qcow2 §13).

mod lines;
mod trees;

use self::lines::Lines;
use self::trees::{Place, compare_tree_flags, count_tree};
use super::image::Qcow2;
use super::metadata::Metadata;
use super::refcounts::TABLE_OFFSET_MASK;
use crate::base::error::errno;
use crate::base::{Error, HostOffset, Kind, Result, limits};
use crate::format::qcow2::check::compare::compare_block;
use crate::format::qcow2::check::{Finding, FrozenCounts, ReferenceCounts};
use crate::format::qcow2::snapshot_table::Snapshot;
use crate::format::qcow2::{HostCluster, refcount};
use crate::node::{CheckReport, Repair};

/// Bytes of a snapshot table entry at least.
const SNAPSHOT_MIN_BYTES: u64 = 40;

impl Qcow2 {
    /// Checks the image; each finding goes to `report` in the real tool's words.
    ///
    /// An error with words of its own is a line of the check (with hints); the errno says how the check ended.
    pub(super) fn check_image(
        &self,
        repair: Repair,
        report: &mut dyn FnMut(&str),
    ) -> Result<CheckReport> {
        if repair != Repair::Nothing {
            self.check_writable()?;
            return Err(Error::unsupported("Repair is not built yet"));
        }
        let _own = self.ranges.own_all();
        let mut metadata = self.metadata()?;
        if self.writable {
            // What is in memory must be in the file: the check reads it there.
            metadata.leave_caches()?;
        }
        let mut lines = Lines::new(report);
        metadata.check_snapshot_table(&mut lines)?;
        let counts = metadata.count_everything(&mut lines)?;
        let mut counts = counts.freeze();
        metadata.compare_counts(&mut counts, &mut lines)?;
        let stored = |cluster| metadata.stored_count(&counts, cluster);
        let place = metadata.place();
        compare_tree_flags(&place, &metadata.l1, &stored, &mut lines)?;
        Ok(lines.report)
    }
}

impl Metadata {
    const fn place(&self) -> Place<'_> {
        Place {
            file: &self.file,
            geometry: self.geometry,
        }
    }

    /// Reads the snapshot table anew and reports entries that lack required fields.
    fn check_snapshot_table(&mut self, lines: &mut Lines<'_>) -> Result<()> {
        let count = self.header.snapshot_count;
        let cap = limits::QCOW2_MAX_SNAPSHOTS;
        if count > cap {
            let hint = format!(
                "You can force-remove all {} overhanging snapshots with qemu-img check -r all",
                count - cap
            );
            return Err(Error::invalid("ERROR snapshot table too large")
                .with_errno(errno::EFBIG)
                .with_hint(hint));
        }
        let shortest = u64::from(count) * SNAPSHOT_MIN_BYTES;
        let place = self.header.snapshots_offset;
        if self
            .header
            .validate_table(place, shortest, u64::MAX >> 1, "")
            .is_err()
        {
            return Err(Error::invalid("ERROR snapshot table offset invalid"));
        }
        let table = self.read_snapshot_table(count, false);
        let table = table.map_err(|error| {
            let errno = if error.kind() == Kind::InvalidImage {
                errno::EFBIG
            } else {
                error.errno()
            };
            error
                .prefixed("ERROR failed to read the snapshot table: ")
                .with_errno(errno)
        })?;
        self.snapshot_table_bytes = table.bytes as u64;
        self.snapshots = table.snapshots;
        if self.header.version >= 3 {
            for (index, snapshot) in self.snapshots.iter().enumerate() {
                if snapshot.incomplete() {
                    lines.corruption(&Finding::SnapshotIncomplete { index }, 1);
                }
            }
        }
        Ok(())
    }

    /// Counts the references to every cluster, in the real tool's order.
    fn count_everything(&mut self, lines: &mut Lines<'_>) -> Result<ReferenceCounts> {
        let geometry = self.geometry;
        let counts = ReferenceCounts::new(geometry, self.file.length()?)?;
        let place = self.place();
        let cluster_size = geometry.cluster_size();
        counts.add_region(0, cluster_size, 1, &mut |f, n| lines.corruption(&f, n));
        let disk = count_tree(&place, self.header.l1_offset, &self.l1, &counts, lines)?;
        let report = &mut lines.report;
        report.total_clusters = geometry.clusters_for(self.size);
        report.allocated_clusters = disk.allocated;
        report.fragmented_clusters = disk.fragmented;
        report.compressed_clusters = disk.compressed;
        for snapshot in &self.snapshots {
            self.count_snapshot(snapshot, &counts, lines)?;
        }
        let header = &self.header;
        let table_bytes = u64::from(header.refcount_table_clusters) * cluster_size;
        let crypto = self
            .extensions
            .crypto
            .map(|crypto| (crypto.offset, crypto.length));
        let regions = [
            Some((header.snapshots_offset, self.snapshot_table_bytes)),
            Some((header.refcount_table_offset, table_bytes)),
            crypto,
        ];
        for (offset, size) in regions.into_iter().flatten() {
            counts.add_region(offset.bytes(), size, 1, &mut |f, n| lines.corruption(&f, n));
        }
        self.count_refcount_blocks(&counts, lines);
        Ok(counts)
    }

    fn count_snapshot(
        &self,
        snapshot: &Snapshot,
        counts: &ReferenceCounts,
        lines: &mut Lines<'_>,
    ) -> Result<()> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (id, name) = (text(&snapshot.id), text(&snapshot.name));
        let offset = snapshot.l1_offset.bytes();
        let entries = snapshot.l1_entries;
        if !snapshot.l1_offset.is_aligned(self.geometry.cluster_size()) {
            lines.corruption(&Finding::SnapshotL1Unaligned { id, name, offset }, 1);
            return Ok(());
        }
        if u64::from(entries) * 8 > limits::QCOW2_MAX_L1_BYTES {
            lines.corruption(&Finding::SnapshotL1TooLarge { id, name, entries }, 1);
            return Ok(());
        }
        let l1 = match self.read_snapshot_l1(snapshot) {
            Ok(l1) => l1,
            Err(error) => {
                let size = u64::from(entries) * 8;
                counts.add_region(offset, size, 1, &mut |f, n| lines.corruption(&f, n));
                lines.say("ERROR: I/O error in check_refcounts_l1");
                return Err(Error::bare(error.errno()));
            }
        };
        count_tree(&self.place(), snapshot.l1_offset, &l1, counts, lines)?;
        Ok(())
    }

    fn count_refcount_blocks(&self, counts: &ReferenceCounts, lines: &mut Lines<'_>) {
        let geometry = self.geometry;
        for (index, &entry) in (0..).zip(&self.refcount_table) {
            let offset = HostOffset::new(entry & TABLE_OFFSET_MASK);
            let cluster = geometry.host_cluster(offset).index();
            if entry & !TABLE_OFFSET_MASK != 0 {
                lines.corruption(&Finding::RefcountTableReserved { index }, 1);
            } else if !offset.is_aligned(geometry.cluster_size()) {
                lines.corruption(&Finding::RefcountBlockUnaligned { index }, 1);
            } else if cluster >= counts.clusters() {
                lines.corruption(&Finding::RefcountBlockOutside { index }, 1);
            } else if entry != 0 {
                counts.add_region(offset.bytes(), geometry.cluster_size(), 1, &mut |f, n| {
                    lines.corruption(&f, n);
                });
                let count = counts.count(cluster);
                if count != 1 {
                    lines.corruption(&Finding::RefcountBlockShared { index, count }, 1);
                }
            }
        }
    }

    /// Reports each stored count that is not the counted one.
    fn compare_counts(&mut self, counts: &mut FrozenCounts, lines: &mut Lines<'_>) -> Result<()> {
        let geometry = self.geometry;
        let per_block = geometry.refcount_block_entries();
        let clusters = counts.clusters();
        let mut last = 0;
        let mut first = 0;
        while first < clusters {
            let range = first..first.saturating_add(per_block).min(clusters);
            first = range.end;
            let block = match self.read_refcount_block(HostCluster::new(range.start)) {
                Ok(block) => block,
                Err(error) => {
                    for cluster in range {
                        lines.say(&format!(
                            "Can't get refcount for cluster {cluster}: {}",
                            error.errno_text()
                        ));
                        lines.report.check_errors += 1;
                        counts.mark_differing(cluster);
                    }
                    continue;
                }
            };
            let mut differing = Vec::new();
            let used = compare_block(
                &geometry,
                block.as_deref(),
                range,
                counts,
                &mut |cluster, stored, counted| {
                    lines.wrong_count(cluster, stored, counted, false);
                    differing.push(cluster);
                },
            );
            for cluster in differing {
                counts.mark_differing(cluster);
            }
            last = used.unwrap_or(0).max(last);
        }
        lines.report.image_end_offset =
            geometry.host_offset(HostCluster::new(last).step(1)).bytes();
        Ok(())
    }

    /// A block's bytes from the file; `None` when the table has none.
    fn read_refcount_block(&mut self, cluster: HostCluster) -> Result<Option<Vec<u8>>> {
        let Some(offset) = self.refcount_block_of(cluster)? else {
            return Ok(None);
        };
        let bytes = self.file.read_vec(offset, self.geometry.cluster_bytes())?;
        Ok(Some(bytes))
    }

    /// The stored count of a cluster: the counted one where they agree, the file's otherwise.
    fn stored_count(&self, counts: &FrozenCounts, cluster: u64) -> Option<u64> {
        if let Some(count) = counts.agreed(cluster) {
            return Some(count);
        }
        let geometry = self.geometry;
        let cluster = HostCluster::new(cluster);
        let index = usize::try_from(geometry.refcount_table_index(cluster)).ok()?;
        let entry = self.refcount_table.get(index).copied().unwrap_or(0) & TABLE_OFFSET_MASK;
        if entry == 0 {
            return Some(0);
        }
        let block = HostOffset::new(entry);
        if !block.is_aligned(geometry.cluster_size()) {
            return None;
        }
        // Eight bytes hold the count, whatever its width.
        let place = geometry.refcount_block_index(cluster);
        let range = refcount::byte_range(&geometry, place, 1);
        let start = range.start / 8 * 8;
        let bytes = self.file.read_vec(block.plus(start as u64).ok()?, 8).ok()?;
        refcount::read(
            &geometry,
            &bytes,
            place - (start * 8 >> geometry.refcount_order()),
        )
    }
}

#[cfg(test)]
mod tests;
