//! `check -r`: what is wrong is set right (qcow2 §13).

use super::Mend;
use super::lines::Lines;
use super::trees::l2_flag_finding;
use crate::base::error::errno;
use crate::base::{Error, HostOffset, Result, limits};
use crate::driver::qcow2::metadata::Metadata;
use crate::driver::qcow2::overlap::Area;
use crate::driver::qcow2::refcounts::queue_run;
use crate::driver::qcow2::tables::TableKind;
use crate::format::qcow2::check::l2::{compare_copied_flags, mend_l2_table};
use crate::format::qcow2::check::{Finding, FrozenCounts};
use crate::format::qcow2::header::IncompatibleFeatures;
use crate::format::qcow2::{HostCluster, L1Entry, l2_entry, refcount};

impl Metadata {
    /// Checks and repairs leaks, or everything. A run that leaves nothing wrong clears the dirty and corrupt bits.
    pub(super) fn check_and_repair(&mut self, all: bool, lines: &mut Lines<'_>) -> Result<()> {
        let snapshots_changed = if all {
            self.repair_snapshot_table(lines)?
        } else {
            self.check_snapshot_table(lines)?;
            false
        };
        let (counts, hopeless) = self.count_everything(all, lines)?;
        let mut counts = counts.freeze();
        let before = lines.report;
        let hopeless = self.compare_counts(&mut counts, Mend::Nothing, lines)? || hopeless;
        if hopeless {
            if !all {
                lines.say("ERROR need to rebuild refcount structures");
                return Err(Error::eio());
            }
            self.rebuild_and_recount(&counts, lines)?;
        } else if (before.leaks, before.corruptions)
            != (lines.report.leaks, lines.report.corruptions)
        {
            lines.report.leaks = before.leaks;
            lines.report.corruptions = before.corruptions;
            let mend = if all { Mend::All } else { Mend::Leaks };
            self.compare_counts(&mut counts, mend, lines)?;
        }
        self.write_all_tables()?;
        self.file.flush()?;
        let report = lines.report;
        let spotless = report.check_errors + report.corruptions + report.leaks == 0;
        self.repair_copied_flags(all || spotless, lines)?;
        if snapshots_changed {
            let snapshots = self.snapshots.clone();
            self.store_snapshots(snapshots).map_err(|error| {
                let words = error.errno_text();
                lines.say(&format!("ERROR failed to update snapshot table: {words}"));
                Error::bare(error.errno())
            })?;
        }
        self.flush_all()?;
        let report = lines.report;
        if report.check_errors == 0 && report.corruptions == 0 {
            self.mark_clean()?;
            self.mark_consistent()?;
        }
        Ok(())
    }

    /// New structures in place of hopeless ones; then everything is counted again, and the old ones are given back.
    fn rebuild_and_recount(&mut self, counts: &FrozenCounts, lines: &mut Lines<'_>) -> Result<()> {
        lines.say("Rebuilding refcount structure");
        let old = lines.report;
        lines.report.corruptions = 0;
        lines.report.leaks = 0;
        lines.report.check_errors = 0;
        self.rebuild_refcounts(counts)?;
        let (counts, _) = self.count_everything(true, lines)?;
        let mut counts = counts.freeze();
        let recounted = lines.report;
        self.compare_counts(&mut counts, Mend::All, lines)?;
        let report = &mut lines.report;
        report.corruptions_fixed =
            recounted.corruptions_fixed + old.corruptions.saturating_sub(recounted.corruptions);
        report.leaks_fixed = old.leaks_fixed + old.leaks;
        Ok(())
    }

    /// Reads the snapshot table as far as it makes sense; whether it has to be written anew.
    fn repair_snapshot_table(&mut self, lines: &mut Lines<'_>) -> Result<bool> {
        let cap = limits::QCOW2_MAX_SNAPSHOTS;
        let stored = self.header.snapshot_count;
        if stored > cap {
            lines.say(&format!(
                "Discarding {} overhanging snapshots",
                stored - cap
            ));
            lines.report.corruptions_fixed += u64::from(stored - cap);
            self.header.snapshot_count = cap;
        }
        if stored <= cap && !self.snapshot_table_needs_trim()? {
            return Ok(self.report_incomplete_snapshots(lines));
        }
        let table = self.read_snapshot_table(self.header.snapshot_count, true)?;
        self.snapshot_table_bytes = table.bytes as u64;
        for (index, bytes) in &table.trimmed {
            lines.say(&format!(
                "Discarding too much extra metadata in snapshot table entry {index} \
                 ({bytes} > {})",
                limits::QCOW2_MAX_SNAPSHOT_EXTRA_BYTES
            ));
            lines.report.corruptions_fixed += 1;
        }
        self.snapshots = table.snapshots;
        self.report_incomplete_snapshots(lines);
        Ok(true)
    }

    /// Whether the table as it is would be refused for its extra data; other faults are errors.
    fn snapshot_table_needs_trim(&mut self) -> Result<bool> {
        let outcome = self.check_snapshot_table(&mut Lines::new(&mut |_| {}));
        match outcome {
            Ok(()) => Ok(false),
            Err(error) if error.errno() == errno::EFBIG => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn report_incomplete_snapshots(&self, lines: &mut Lines<'_>) -> bool {
        let mut any = false;
        for (index, snapshot) in self.snapshots.iter().enumerate() {
            if self.header.version >= 3 && snapshot.incomplete() {
                lines.repaired(&Finding::SnapshotIncomplete { index });
                any = true;
            }
        }
        any
    }

    /// Takes impossible places from the zero clusters of these tables.
    pub(super) fn mend_l2_tables(&mut self, tables: &[HostOffset]) -> Result<()> {
        for &table in tables {
            let mut bytes = self.file.read_vec(table, self.geometry.cluster_bytes())?;
            if mend_l2_table(&self.geometry, &mut bytes) {
                self.guard_write(table, bytes.len() as u64, Area::ActiveL2)?;
                self.file.write_at(table, &bytes)?;
            }
        }
        Ok(())
    }

    /// Stores a count in a block that is there.
    pub(super) fn set_refcount(&mut self, cluster: HostCluster, count: u64) -> Result<()> {
        let block = self.refcount_block_of(cluster)?.ok_or_else(Error::eio)?;
        self.load(TableKind::RefcountBlock, block)?;
        let geometry = self.geometry;
        let index = geometry.refcount_block_index(cluster);
        let range = refcount::byte_range(&geometry, index, 1);
        let bytes = self
            .refcount_blocks
            .change(block, range)
            .ok_or_else(Error::eio)?;
        if !refcount::write(&geometry, bytes, index, count) {
            return Err(Error::bare(errno::EINVAL));
        }
        if count == 0 {
            self.lower_free_index(cluster);
            let offset = geometry.host_offset(cluster);
            queue_run(&mut self.discards, offset, geometry.cluster_size());
            // Not to be used again before it is punched: what is written there would be lost.
            self.freed.insert(cluster);
        }
        Ok(())
    }

    /// Reports COPIED flags of the active tree that disagree with the counts, and sets them right when asked.
    fn repair_copied_flags(&mut self, repair: bool, lines: &mut Lines<'_>) -> Result<()> {
        for index in 0..self.l1.len() {
            let entry = self.l1.get(index).copied().unwrap_or_default();
            let Some(table) = entry.l2_table() else {
                continue;
            };
            let own = self.geometry.host_cluster(table);
            let Ok(count) = self.refcount(own) else {
                continue;
            };
            let geometry = self.geometry;
            let finding = l2_flag_finding(&geometry, index as u64, entry, &|_| Some(count));
            if let Some(finding) = finding {
                if repair {
                    lines.repaired(&finding);
                    let fixed: L1Entry = entry.with_copied(count == 1);
                    self.set_l1_entry(index, fixed)?;
                } else {
                    lines.corruption(&finding, 1);
                }
            }
            self.repair_flags_of_table(table, repair, lines)?;
        }
        Ok(())
    }

    fn repair_flags_of_table(
        &mut self,
        table: HostOffset,
        repair: bool,
        lines: &mut Lines<'_>,
    ) -> Result<()> {
        let geometry = self.geometry;
        let mut bytes = self.file.read_vec(table, geometry.cluster_bytes())?;
        let mut findings = Vec::new();
        let mut stored = |cluster| self.refcount(HostCluster::new(cluster)).ok();
        compare_copied_flags(&geometry, &bytes, &mut stored, &mut |index, finding| {
            findings.push((index, finding));
        });
        let repair = repair && !findings.is_empty();
        for (index, finding) in findings {
            if !repair {
                lines.corruption(&finding, 1);
                continue;
            }
            lines.repaired(&finding);
            if let Some(entry) = l2_entry::read(&geometry, &bytes, index) {
                l2_entry::write(
                    &geometry,
                    &mut bytes,
                    index,
                    entry.with_copied(!entry.copied()),
                );
            }
        }
        if repair {
            self.guard_write(table, bytes.len() as u64, Area::ActiveL2)
                .inspect_err(|error| {
                    lines.say(&format!(
                        "ERROR: Could not write L2 table; metadata overlap check failed: {}",
                        error.errno_text()
                    ));
                })?;
            self.file.write_at(table, &bytes)?;
        }
        Ok(())
    }

    /// Clears the corrupt bit.
    fn mark_consistent(&mut self) -> Result<()> {
        let corrupt = IncompatibleFeatures::CORRUPT;
        if self.header.incompatible.contains(corrupt) {
            self.header.incompatible -= corrupt;
            self.write_incompatible_features()?;
            self.file.flush()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
