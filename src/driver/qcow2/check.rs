//! `check`: the image's metadata against itself (qcow2 §13).

mod bitmaps;
mod lines;
mod rebuild;
mod repair;
mod trees;

use self::lines::Lines;
use self::trees::{Place, compare_tree_flags, count_tree};
use super::image::Qcow2;
use super::metadata::Metadata;
use super::refcounts::TABLE_OFFSET_MASK;
use crate::base::error::errno;
use crate::base::{Error, HostOffset, Kind, Result, limits};
use crate::format::qcow2::check::compare::compare_block;
use crate::format::qcow2::check::counts::SEGMENT;
use crate::format::qcow2::check::{Finding, FrozenCounts, ReferenceCounts};
use crate::format::qcow2::snapshot_table::Snapshot;
use crate::format::qcow2::{HostCluster, refcount};
use crate::node::{CheckReport, Preallocation, Repair};

/// Bytes of a snapshot table entry at least.
const SNAPSHOT_MIN_BYTES: u64 = 40;

/// Which wrong counts are set right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mend {
    Nothing,
    Leaks,
    All,
}

impl Mend {
    const fn covers(self, stored: u64, counted: u64) -> bool {
        match self {
            Self::Nothing => false,
            Self::Leaks => stored > counted,
            Self::All => true,
        }
    }
}

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
        }
        let _own = self.own_all();
        let mut metadata = self.metadata()?;
        if self.writable {
            // What is in memory must be in the file, late refcounts too: the check reads it there.
            metadata.flush_all()?;
            metadata.leave_caches()?;
        }
        let mut lines = Lines::new(report);
        match repair {
            Repair::Nothing => metadata.check_only(&mut lines)?,
            _ => metadata.check_and_repair(repair == Repair::All, &mut lines)?,
        }
        Ok(lines.report)
    }
}

impl Metadata {
    fn check_only(&mut self, lines: &mut Lines<'_>) -> Result<()> {
        self.check_snapshot_table(lines)?;
        let (counts, _) = self.count_everything(false, lines)?;
        let mut counts = counts.freeze();
        self.compare_counts(&mut counts, Mend::Nothing, lines)?;
        let stored = |cluster| self.stored_count(&counts, cluster);
        compare_tree_flags(&self.place(), &self.l1, &stored, lines)
    }

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

    /// Counts the references to every cluster, in the real tool's order. Also says whether the refcount structures
    /// are beyond mending.
    fn count_everything(
        &mut self,
        mending: bool,
        lines: &mut Lines<'_>,
    ) -> Result<(ReferenceCounts, bool)> {
        let geometry = self.geometry;
        let mut counts = ReferenceCounts::new(geometry, self.file.length()?)?;
        let cluster_size = geometry.cluster_size();
        counts.add_region(0, cluster_size, 1, &mut |f, n| lines.corruption(&f, n));
        let l1_offset = self.header.l1_offset;
        let active = count_tree(&self.place(), l1_offset, &self.l1, &counts, mending, lines)?;
        let disk = active.fragmentation;
        let mut to_mend = active.to_mend;
        let report = &mut lines.report;
        report.total_clusters = geometry.clusters_for(self.size);
        report.allocated_clusters = disk.allocated;
        report.fragmented_clusters = disk.fragmented;
        report.compressed_clusters = disk.compressed;
        for snapshot in &self.snapshots {
            to_mend.extend(self.count_snapshot(snapshot, &counts, mending, lines)?);
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
        self.count_bitmaps(&counts, lines)?;
        let hopeless = self.count_refcount_blocks(&mut counts, mending, lines);
        self.mend_l2_tables(&to_mend)?;
        Ok((counts, hopeless))
    }

    fn count_snapshot(
        &self,
        snapshot: &Snapshot,
        counts: &ReferenceCounts,
        mending: bool,
        lines: &mut Lines<'_>,
    ) -> Result<Vec<HostOffset>> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (id, name) = (text(&snapshot.id), text(&snapshot.name));
        let offset = snapshot.l1_offset.bytes();
        let entries = snapshot.l1_entries;
        if !snapshot.l1_offset.is_aligned(self.geometry.cluster_size()) {
            lines.corruption(&Finding::SnapshotL1Unaligned { id, name, offset }, 1);
            return Ok(Vec::new());
        }
        if u64::from(entries) * 8 > limits::QCOW2_MAX_L1_BYTES {
            lines.corruption(&Finding::SnapshotL1TooLarge { id, name, entries }, 1);
            return Ok(Vec::new());
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
        let place = self.place();
        let tree = count_tree(&place, snapshot.l1_offset, &l1, counts, mending, lines)?;
        Ok(tree.to_mend)
    }

    /// Whether blocks are shared, misplaced or marked: then only new structures help.
    fn count_refcount_blocks(
        &self,
        counts: &mut ReferenceCounts,
        mending: bool,
        lines: &mut Lines<'_>,
    ) -> bool {
        let geometry = self.geometry;
        let mut hopeless = false;
        for (index, &entry) in (0..).zip(&self.refcount_table) {
            let offset = HostOffset::new(entry & TABLE_OFFSET_MASK);
            let cluster = geometry.host_cluster(offset).index();
            if entry & !TABLE_OFFSET_MASK != 0 {
                lines.corruption(&Finding::RefcountTableReserved { index }, 1);
                hopeless = true;
            } else if !offset.is_aligned(geometry.cluster_size()) {
                lines.corruption(&Finding::RefcountBlockUnaligned { index }, 1);
                hopeless = true;
            } else if cluster >= counts.clusters() {
                let finding = Finding::RefcountBlockOutside { index };
                if !mending {
                    lines.corruption(&finding, 1);
                    continue;
                }
                hopeless = true;
                lines.repaired(&finding);
                if let Err(error) = self.take_in_block(offset, counts) {
                    let words = error.errno_text();
                    lines.say(&format!("Could not resize file: {words}"));
                    lines.say(&format!("ERROR could not resize image: {words}"));
                }
            } else if entry != 0 {
                counts.add_region(offset.bytes(), geometry.cluster_size(), 1, &mut |f, n| {
                    lines.corruption(&f, n);
                });
                let count = counts.count(cluster);
                if count != 1 {
                    lines.corruption(&Finding::RefcountBlockShared { index, count }, 1);
                    hopeless = true;
                }
            }
        }
        hopeless
    }

    /// Makes the file long enough for a refcount block that lies behind its end, which then reads as zeros.
    fn take_in_block(&self, block: HostOffset, counts: &mut ReferenceCounts) -> Result<()> {
        let end = block.plus(self.geometry.cluster_size())?.bytes();
        counts.extend(end)?;
        self.file.resize(end, Preallocation::Off)?;
        counts.add_region(
            block.bytes(),
            self.geometry.cluster_size(),
            1,
            &mut |_, _| {},
        );
        Ok(())
    }

    /// Reports each stored count that is not the counted one. Whether a cluster in use is counted as free: then
    /// only new structures help.
    fn compare_counts(
        &mut self,
        counts: &mut FrozenCounts,
        mend: Mend,
        lines: &mut Lines<'_>,
    ) -> Result<bool> {
        let geometry = self.geometry;
        let step = geometry.refcount_block_entries().min(SEGMENT);
        let clusters = counts.clusters();
        let mut hopeless = false;
        let mut last = 0;
        let mut first = 0;
        while first < clusters {
            let range = first..first.saturating_add(step).min(clusters);
            first = range.end;
            let block = match self.read_refcount_block(HostCluster::new(range.start)) {
                Ok(block) => block,
                Err(error) => {
                    for cluster in range {
                        let words = error.errno_text();
                        lines.say(&format!(
                            "Can't get refcount for cluster {cluster}: {words}"
                        ));
                        lines.report.check_errors += 1;
                        counts.mark_differing(cluster);
                    }
                    hopeless = true;
                    continue;
                }
            };
            let mut differing = Vec::new();
            let mut differs = |cluster, stored, counted| differing.push((cluster, stored, counted));
            let used = compare_block(&geometry, block.as_deref(), range, counts, &mut differs);
            for (cluster, stored, counted) in differing {
                hopeless |= stored == 0;
                counts.mark_differing(cluster);
                let mended = mend.covers(stored, counted);
                lines.wrong_count(cluster, stored, counted, mended);
                if mended {
                    self.set_refcount(HostCluster::new(cluster), counted)?;
                }
            }
            last = used.unwrap_or(0).max(last);
        }
        let end = geometry.host_offset(HostCluster::new(last).step(1));
        lines.report.image_end_offset = end.bytes();
        Ok(hopeless)
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
            place - ((start * 8) >> geometry.refcount_order()),
        )
    }
}

#[cfg(test)]
mod tests;
