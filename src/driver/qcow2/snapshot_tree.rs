//! Everything that an L1 table reaches, as runs of clusters: counted up, counted down, flags brought up to date.
//!
//! Tables are read and written past the cache, which is empty meanwhile: a tree of terabytes is walked once,
//! in order, in the memory of one table.

use super::metadata::{FreeReason, Metadata};
use super::overlap::Area;
use super::tables::TableKind;
use crate::base::{Error, HostOffset, Result};
use crate::format::qcow2::lookup::{Corruption, l2_table_of};
use crate::format::qcow2::{Cluster, HostCluster, L1Entry, l2_entry, refcount};

/// Freed clusters that are remembered before they are made reusable.
const FREED_MAX: usize = 1 << 18;

/// Gets the metadata, and a run of clusters.
type Visit<'a> = &'a mut dyn FnMut(&mut Metadata, HostCluster, u64) -> Result<()>;

impl Metadata {
    /// Empties the table cache before a walk that goes past it.
    pub(super) fn leave_caches(&mut self) -> Result<()> {
        self.flush()?;
        self.l2_tables.clear();
        // The cluster that the next compressed one would continue may belong to several trees now.
        self.compressed_end = None;
        self.freed_generation += 1;
        Ok(())
    }

    /// One reference more to everything that `l1` reaches. A failure takes back what was counted.
    pub(super) fn raise_tree(&mut self, l1: &[L1Entry]) -> Result<()> {
        let mut raised = 0_u64;
        let outcome = self.walk(l1, &mut |metadata, first, count| {
            metadata.raise_refcounts(first, count)?;
            raised += 1;
            Ok(())
        });
        if outcome.is_err() {
            // The error to report is the first one; what can't be taken back leaks.
            let _ = self.lower_runs(l1, FreeReason::Never, raised);
        }
        outcome
    }

    /// One reference less to everything that `l1` reaches.
    pub(super) fn lower_tree(&mut self, l1: &[L1Entry], reason: FreeReason) -> Result<()> {
        self.lower_runs(l1, reason, u64::MAX)
    }

    fn lower_runs(&mut self, l1: &[L1Entry], reason: FreeReason, mut runs: u64) -> Result<()> {
        let lowered = self.walk(l1, &mut |metadata, first, count| {
            if runs == 0 {
                return Ok(());
            }
            runs -= 1;
            // A count that is too low stops everything: what is freed in spite of it may be in use.
            metadata.lower_refcounts(first, count, reason)?;
            if metadata.freed.len() > FREED_MAX {
                metadata.flush()?;
            }
            Ok(())
        });
        if lowered.is_err() {
            // The counts are wrong: what looks free may be in use.
            self.discards.clear();
        }
        lowered
    }

    /// Visits data clusters, then the L2 table that holds them, for each table. Neighbours come as one run.
    fn walk(&mut self, l1: &[L1Entry], visit: Visit<'_>) -> Result<()> {
        for (index, &entry) in (0..).zip(l1) {
            let Some(table) = self.checked_table(entry, index)? else {
                continue;
            };
            let bytes = self.read_l2(table)?;
            self.walk_table(table, &bytes, visit)?;
            let own = self.geometry.host_cluster(table);
            visit(self, own, 1)?;
        }
        Ok(())
    }

    fn walk_table(&mut self, table: HostOffset, bytes: &[u8], visit: Visit<'_>) -> Result<()> {
        let geometry = self.geometry;
        let mut pending: Option<(HostCluster, u64)> = None;
        let mut index = 0;
        while let Some(entry) = l2_entry::read(&geometry, bytes, index) {
            let found = match entry.cluster(&geometry) {
                Cluster::Unallocated | Cluster::ZeroPlain => None,
                Cluster::Compressed(descriptor) => Some(descriptor.host_clusters(&geometry)),
                Cluster::Normal(host) | Cluster::ZeroAllocated(host) => {
                    if !host.is_aligned(geometry.cluster_size()) {
                        return Err(self.corrupt(&Corruption::ClusterUnaligned {
                            offset: host.bytes(),
                            l2_table: table.bytes(),
                            l2_index: index,
                        }));
                    }
                    Some((geometry.host_cluster(host), 1))
                }
            };
            index += 1;
            let Some((first, count)) = found else {
                continue;
            };
            match &mut pending {
                Some((start, length)) if start.step(*length) == first => *length += count,
                _ => {
                    if let Some((start, length)) = pending.replace((first, count)) {
                        visit(self, start, length)?;
                    }
                }
            }
        }
        match pending {
            Some((start, length)) => visit(self, start, length),
            None => Ok(()),
        }
    }

    /// The L2 table of an entry; an unaligned one marks the image corrupt.
    pub(super) fn checked_table(
        &mut self,
        entry: L1Entry,
        index: u64,
    ) -> Result<Option<HostOffset>> {
        l2_table_of(&self.geometry, entry, index).map_err(|corruption| self.corrupt(&corruption))
    }

    pub(super) fn read_l2(&self, table: HostOffset) -> Result<Vec<u8>> {
        self.file.read_vec(table, self.geometry.cluster_bytes())
    }

    /// Makes COPIED mean "counted exactly once" in `l1` and every table it reaches; gives the entries as they should
    /// be, which are not written. Counts reach the disk before the flags that speak of them.
    pub(super) fn fix_copied_flags(&mut self, l1: &[L1Entry]) -> Result<Vec<L1Entry>> {
        self.write_all(TableKind::RefcountBlock)?;
        self.file.flush()?;
        let mut fixed = l1.to_vec();
        for (index, entry) in (0..).zip(&mut fixed) {
            let Some(table) = self.checked_table(*entry, index)? else {
                continue;
            };
            let own = self.geometry.host_cluster(table);
            let count = self.refcount(own)?;
            // Of a tree that was counted down, the tables that others still use are brought up to date.
            if count == 0 {
                continue;
            }
            let mut bytes = self.read_l2(table)?;
            if self.fix_copied_in_table(table, &mut bytes)? {
                self.guard_write(table, bytes.len() as u64, Area::ActiveL2)?;
                self.file.write_at(table, &bytes)?;
            }
            *entry = entry.with_copied(count == 1);
        }
        self.file.flush()?;
        Ok(fixed)
    }

    /// The same for the active tree, whose L1 table is written too.
    pub(super) fn fix_active_copied_flags(&mut self) -> Result<()> {
        let l1 = std::mem::take(&mut self.l1);
        let fixed = self.fix_copied_flags(&l1);
        match fixed {
            Ok(fixed) if fixed != l1 => {
                self.l1 = fixed;
                self.write_whole_l1()?;
                self.file.flush()
            }
            Ok(_) => {
                self.l1 = l1;
                Ok(())
            }
            Err(error) => {
                self.l1 = l1;
                Err(error)
            }
        }
    }

    /// Whether anything changed. Entries counted by one refcount block are done together.
    fn fix_copied_in_table(&mut self, table: HostOffset, bytes: &mut [u8]) -> Result<bool> {
        let geometry = self.geometry;
        let mut changed = false;
        let mut index = 0;
        while let Some(entry) = l2_entry::read(&geometry, bytes, index) {
            let host = match entry.cluster(&geometry) {
                Cluster::Normal(host) | Cluster::ZeroAllocated(host) => host,
                Cluster::Compressed(_) if entry.copied() => {
                    l2_entry::write(&geometry, bytes, index, entry.with_copied(false));
                    changed = true;
                    index += 1;
                    continue;
                }
                _ => {
                    index += 1;
                    continue;
                }
            };
            if !host.is_aligned(geometry.cluster_size()) {
                return Err(self.corrupt(&Corruption::ClusterUnaligned {
                    offset: host.bytes(),
                    l2_table: table.bytes(),
                    l2_index: index,
                }));
            }
            let cluster = geometry.host_cluster(host);
            let block = self.refcount_block_of(cluster)?;
            if let Some(block) = block {
                self.load(TableKind::RefcountBlock, block)?;
            }
            let counts = block.and_then(|block| self.refcount_blocks.peek(block));
            let table_index = geometry.refcount_table_index(cluster);
            let (next, altered) = fix_run(&geometry, bytes, index, table_index, counts);
            changed |= altered;
            index = next;
        }
        Ok(changed)
    }
}

/// From `index` on, entries whose counts are in `counts` (the block at `table_index`), up to the first other one.
fn fix_run(
    geometry: &crate::format::qcow2::Geometry,
    bytes: &mut [u8],
    mut index: usize,
    table_index: u64,
    counts: Option<&[u8]>,
) -> (usize, bool) {
    let mut changed = false;
    while let Some(entry) = l2_entry::read(geometry, bytes, index) {
        let Some(host) = entry.host() else { break };
        let cluster = geometry.host_cluster(host);
        if geometry.refcount_table_index(cluster) != table_index
            || !host.is_aligned(geometry.cluster_size())
        {
            break;
        }
        let place = geometry.refcount_block_index(cluster);
        let count = counts.and_then(|counts| refcount::read(geometry, counts, place));
        let copied = count == Some(1);
        if entry.copied() != copied {
            l2_entry::write(geometry, bytes, index, entry.with_copied(copied));
            changed = true;
        }
        index += 1;
    }
    (index, changed)
}

/// A tree that is walked must have been validated: its length comes from an image.
pub(super) fn l1_entries_of(bytes: &[u8]) -> Result<Vec<L1Entry>> {
    let (entries, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(Error::eio());
    }
    Ok(entries
        .iter()
        .map(|entry| L1Entry::from_raw(u64::from_be_bytes(*entry)))
        .collect())
}
