//! Reading and changing reference counts (qcow2 §4).

use super::metadata::{FreeReason, Metadata};
use super::tables::TableKind;
use crate::base::error::errno;
use crate::base::{Error, HostOffset, Result};
use crate::format::qcow2::lookup::Hex;
use crate::format::qcow2::{HostCluster, refcount};
use crate::node::DebugEvent;

/// Bits 9 to 63 of a refcount table entry.
pub(super) const TABLE_OFFSET_MASK: u64 = !0x1ff;

/// One step up or down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A reference more.
    Raise,
    /// A reference less; a count that reaches zero frees the cluster.
    Lower(FreeReason),
}

/// Why counts could not be changed.
pub(super) enum Refusal {
    /// A refcount block had to be made: counts are as before, choose clusters anew (qcow2 §8).
    TryAgain,
    /// It does not work.
    Failed(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Counts of one block that change together.
#[derive(Clone, Copy)]
struct Span {
    first: HostCluster,
    count: u64,
}

impl Metadata {
    /// The refcount block that covers a cluster, checked; `None` when the table has none.
    pub(super) fn refcount_block_of(&mut self, cluster: HostCluster) -> Result<Option<HostOffset>> {
        let index = self.geometry.refcount_table_index(cluster);
        let entry = usize::try_from(index)
            .ok()
            .and_then(|index| self.refcount_table.get(index))
            .map_or(0, |entry| entry & TABLE_OFFSET_MASK);
        if entry == 0 {
            return Ok(None);
        }
        let offset = HostOffset::new(entry);
        if !offset.is_aligned(self.geometry.cluster_size()) {
            return Err(self.mark_corrupt(&format!(
                "Refblock offset {} unaligned (reftable index: {})",
                Hex(entry),
                Hex(index)
            )));
        }
        Ok(Some(offset))
    }

    /// The count of a cluster; 0 where nothing counts it.
    pub(super) fn refcount(&mut self, cluster: HostCluster) -> Result<u64> {
        let Some(block) = self.refcount_block_of(cluster)? else {
            return Ok(0);
        };
        self.load(TableKind::RefcountBlock, block)?;
        let index = self.geometry.refcount_block_index(cluster);
        Ok(self
            .refcount_blocks
            .peek(block)
            .and_then(|bytes| refcount::read(&self.geometry, bytes, index))
            .unwrap_or(0))
    }

    /// Adds one reference to each of `count` clusters that are in use already.
    pub(super) fn raise_refcounts(&mut self, first: HostCluster, count: u64) -> Result<()> {
        loop {
            match self.change_refcounts(first, count, Change::Raise) {
                Err(Refusal::TryAgain) => {}
                Err(Refusal::Failed(error)) => return Err(error),
                Ok(()) => return Ok(()),
            }
        }
    }

    /// Takes one reference from each of `count` clusters; what reaches zero is free.
    ///
    /// The entry that pointed here has been cleared in memory: it reaches the disk before the lowered counts.
    pub(super) fn free_clusters(&mut self, first: HostCluster, count: u64, reason: FreeReason) {
        self.file.debug_event(DebugEvent::ClusterFree);
        if let Err(error) = self.lower_refcounts(first, count, reason) {
            // Nothing refers to the clusters any more: what can't be counted leaks, and harms nobody.
            self.notices
                .say(&format!("qcow2_free_clusters failed: {error}"));
        }
    }

    /// The same for clusters that happen to lie side by side: one that can't be counted keeps none of the others.
    pub(super) fn free_run(&mut self, first: HostCluster, count: u64, reason: FreeReason) {
        let mut counted = 0;
        if count > 1 {
            self.file.debug_event(DebugEvent::ClusterFree);
            match self.lower_refcounts(first, count, reason) {
                Ok(()) => return,
                // Reading or writing failed: that was the first one's turn.
                Err(error) if error.errno() == errno::EIO => {
                    self.notices
                        .say(&format!("qcow2_free_clusters failed: {error}"));
                    counted = 1;
                }
                Err(_) => {}
            }
        }
        for step in counted..count {
            self.free_clusters(first.step(step), 1, reason);
        }
    }

    /// [`Self::free_clusters`] for callers who must know when it fails.
    pub(super) fn lower_refcounts(
        &mut self,
        first: HostCluster,
        count: u64,
        reason: FreeReason,
    ) -> Result<()> {
        if !self.refcounts_are_lazy() {
            self.require_other_first(TableKind::RefcountBlock)?;
        }
        match self.change_refcounts(first, count, Change::Lower(reason)) {
            Ok(()) => Ok(()),
            Err(Refusal::Failed(error)) => Err(error),
            // A block was made; what it counts was free already.
            Err(Refusal::TryAgain) => Err(Error::bare(errno::EAGAIN)),
        }
    }

    /// Changes `count` counts, or none.
    pub(super) fn change_refcounts(
        &mut self,
        first: HostCluster,
        count: u64,
        change: Change,
    ) -> Result<(), Refusal> {
        let mut done = 0;
        while done < count {
            let cluster = first.step(done);
            let per_block = self.geometry.refcount_block_entries();
            let left_in_block = per_block - (cluster.index() & (per_block - 1));
            let span = Span {
                first: cluster,
                count: left_in_block.min(count - done),
            };
            let changed = self.change_span(span, change);
            let (applied, outcome) = changed;
            done += applied;
            if let Err(refusal) = outcome {
                self.undo(Span { first, count: done }, change);
                return Err(refusal);
            }
        }
        Ok(())
    }

    /// Changes counts inside one block; says how many were changed even when it fails.
    fn change_span(&mut self, span: Span, change: Change) -> (u64, Result<(), Refusal>) {
        self.file.debug_event(DebugEvent::RefblockAlloc);
        let block = match self.refcount_block_of(span.first) {
            Ok(Some(block)) => block,
            // For a lowered count too, as in the real tool.
            Ok(None) => return (0, Err(self.make_refcount_block(span.first))),
            Err(error) => return (0, Err(error.into())),
        };
        self.file.debug_event(DebugEvent::RefblockLoad);
        if let Err(error) = self.load(TableKind::RefcountBlock, block) {
            return (0, Err(error.into()));
        }
        let index = self.geometry.refcount_block_index(span.first);
        let count = usize::try_from(span.count).unwrap_or(usize::MAX);
        let range = refcount::byte_range(&self.geometry, index, count);
        let Some(bytes) = self.refcount_blocks.change(block, range) else {
            return (0, Err(Error::eio().into()));
        };
        let mut applied = 0;
        let mut reached_zero = Vec::new();
        for step in 0..span.count {
            let at = index + usize::try_from(step).unwrap_or(usize::MAX);
            let now = refcount::read(&self.geometry, bytes, at).unwrap_or(0);
            let next = match change {
                Change::Raise => now.checked_add(1),
                Change::Lower(_) => now.checked_sub(1),
            };
            // A count beyond the width, or below zero: EINVAL (qcow2 §4).
            let stored = next.is_some_and(|next| refcount::write(&self.geometry, bytes, at, next));
            if !stored {
                break;
            }
            applied += 1;
            if next == Some(0) {
                push_run(&mut reached_zero, span.first.step(step));
            }
        }
        if let Change::Lower(reason) = change {
            for (first, count) in reached_zero {
                self.note_freed(first, count, reason);
            }
        }
        if applied < span.count {
            return (applied, Err(Error::bare(errno::EINVAL).into()));
        }
        (applied, Ok(()))
    }

    /// Takes back a change that failed half-way.
    fn undo(&mut self, span: Span, change: Change) {
        if span.count == 0 {
            return;
        }
        let back = match change {
            Change::Raise => Change::Lower(FreeReason::Never),
            Change::Lower(_) => Change::Raise,
        };
        // The blocks are in memory and held the opposite values a moment ago; a second failure has no better answer.
        let _ = self.change_refcounts(span.first, span.count, back);
    }

    /// Bookkeeping for clusters whose count reached zero.
    fn note_freed(&mut self, first: HostCluster, count: u64, reason: FreeReason) {
        if first < self.free_index {
            self.free_index = first;
        }
        let offset = self.geometry.host_offset(first);
        if self.discard_policy.punches(reason) {
            let length = count.saturating_mul(self.geometry.cluster_size());
            queue_run(&mut self.discards, offset, length);
        }
        for step in 0..count {
            let cluster = first.step(step);
            let offset = self.geometry.host_offset(cluster);
            self.l2_tables.forget(offset);
            self.refcount_blocks.forget(offset);
            if reason != FreeReason::Never {
                self.freed.insert(cluster);
            }
        }
        self.freed_generation += 1;
    }
}

/// Adds bytes of a file to a list of runs.
pub(super) fn queue_run(runs: &mut Vec<(HostOffset, u64)>, offset: HostOffset, length: u64) {
    match runs.last_mut() {
        Some((last, bytes)) if last.saturating_plus(*bytes) == offset => *bytes += length,
        _ => runs.push((offset, length)),
    }
}

/// Adds a cluster to a list of runs.
fn push_run(runs: &mut Vec<(HostCluster, u64)>, cluster: HostCluster) {
    match runs.last_mut() {
        Some((first, count)) if first.step(*count) == cluster => *count += 1,
        _ => runs.push((cluster, 1)),
    }
}
