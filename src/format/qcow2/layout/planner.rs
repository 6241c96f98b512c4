//! The allocator of a new image, as a simulation on runs: no disk, no table of counts (qcow2 §8–9).
//!
//! In a new image every count is 0 or 1, so the used clusters are a set of ranges.

use std::collections::BTreeMap;
use std::ops::Range;

use super::LayoutError;
use crate::base::limits;
use crate::format::qcow2::Geometry;

/// A refcount table that was replaced: its bytes stay in the file until its clusters are reused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleTable {
    /// Its first cluster.
    pub first: u64,
    /// Its entries, as cluster numbers of blocks (0: none).
    pub blocks: Vec<u64>,
}

/// An allocation that has to start again because a refcount block came into being meanwhile.
enum Interrupted {
    Retry,
    Failed(LayoutError),
}

/// The simulated state.
#[derive(Debug)]
pub struct Planner {
    geometry: Geometry,
    /// Start → end of each used run; runs never touch.
    used: BTreeMap<u64, u64>,
    free_index: u64,
    /// Cluster of each refcount block, 0 for none; as long as the table has entries in use.
    pub blocks: Vec<u64>,
    /// The refcount table's clusters.
    pub table: Range<u64>,
    /// Replaced tables, oldest first.
    pub stale: Vec<StaleTable>,
    /// One past the last cluster that is written whole.
    pub written_end: u64,
}

impl Planner {
    /// Header, table and block in clusters 0 to 2 (qcow2 §10).
    pub fn new(geometry: Geometry) -> Self {
        Self {
            geometry,
            used: BTreeMap::from([(0, 3)]),
            free_index: 3,
            blocks: vec![2],
            table: 1..2,
            stale: Vec::new(),
            written_end: 3,
        }
    }

    /// The used runs, in order.
    pub fn used(&self) -> impl Iterator<Item = Range<u64>> {
        self.used.iter().map(|(&start, &end)| start..end)
    }

    /// Takes the first run of `count` free clusters.
    pub fn allocate(&mut self, count: u64) -> Result<u64, LayoutError> {
        loop {
            let first = self.find(count);
            match self.raise(first..first.saturating_add(count)) {
                Ok(()) => return Ok(first),
                Err(Interrupted::Retry) => {}
                Err(Interrupted::Failed(error)) => return Err(error),
            }
        }
    }

    /// Takes at most `count` free clusters exactly at `first`; gives how many.
    pub fn allocate_at(&mut self, first: u64, count: u64) -> Result<u64, LayoutError> {
        loop {
            let got = self.next_used(first).saturating_sub(first).min(count);
            match self.raise(first..first + got) {
                Ok(()) => return Ok(got),
                Err(Interrupted::Retry) => {}
                Err(Interrupted::Failed(error)) => return Err(error),
            }
        }
    }

    /// Chooses a run without using it; the scan goes on behind it next time.
    fn find(&mut self, count: u64) -> u64 {
        let mut first = self.next_free(self.free_index);
        loop {
            let end = self.next_used(first);
            if end - first >= count {
                self.free_index = first.saturating_add(count);
                return first;
            }
            first = self.next_free(end);
        }
    }

    fn next_free(&self, from: u64) -> u64 {
        match self.used.range(..=from).next_back() {
            Some((_, &end)) if end > from => end,
            _ => from,
        }
    }

    fn next_used(&self, from: u64) -> u64 {
        if self.next_free(from) != from {
            return from;
        }
        self.used
            .range(from..)
            .next()
            .map_or(u64::MAX, |(&start, _)| start)
    }

    fn mark(&mut self, run: Range<u64>) {
        if run.is_empty() {
            return;
        }
        let mut merged = run;
        if let Some((&start, &end)) = self.used.range(..=merged.start).next_back()
            && end >= merged.start
        {
            merged = start..end.max(merged.end);
        }
        while let Some((&start, &end)) = self.used.range(merged.start..).next()
            && start <= merged.end
        {
            merged.end = merged.end.max(end);
            self.used.remove(&start);
        }
        self.used.insert(merged.start, merged.end);
    }

    fn unmark(&mut self, run: Range<u64>) {
        if run.is_empty() {
            return;
        }
        let Some((&start, &end)) = self.used.range(..=run.start).next_back() else {
            return;
        };
        self.used.remove(&start);
        if start < run.start {
            self.used.insert(start, run.start);
        }
        if run.end < end {
            self.used.insert(run.end, end);
        }
    }

    fn block_of(&self, cluster: u64) -> usize {
        usize::try_from(cluster >> self.geometry.refcount_block_bits()).unwrap_or(usize::MAX)
    }

    fn has_block(&self, index: usize) -> bool {
        self.blocks.get(index).is_some_and(|&block| block != 0)
    }

    /// Sets the counts of a run to one. A missing block is made; then what was raised is undone and the caller
    /// starts again (qcow2 §8).
    fn raise(&mut self, run: Range<u64>) -> Result<(), Interrupted> {
        let mut raised = run.start;
        while raised < run.end {
            let index = self.block_of(raised);
            if !self.has_block(index) {
                let interrupted = self.make_block(index, raised);
                self.unmark(run.start..raised);
                self.free_index = self.free_index.min(run.start);
                return Err(interrupted);
            }
            let covered = (index as u64 + 1).saturating_mul(self.geometry.refcount_block_entries());
            let end = covered.min(run.end);
            self.mark(raised..end);
            raised = end;
        }
        Ok(())
    }

    /// A new block for table entry `index`, needed because of `cluster`.
    fn make_block(&mut self, index: usize, cluster: u64) -> Interrupted {
        let block = self.find(1);
        if self.block_of(block) == index {
            self.mark(block..block + 1);
        } else if let Err(interrupted) = self.raise(block..block + 1) {
            return interrupted;
        }
        self.written_end = self.written_end.max(block + 1);
        let entries = (self.table.end - self.table.start)
            .saturating_mul(self.geometry.table_entries_per_cluster());
        if (index as u64) < entries {
            self.set_block(index, block);
            return Interrupted::Retry;
        }
        let per_block = self.geometry.refcount_block_entries();
        let used = cluster.max(block).saturating_add(1).div_ceil(per_block);
        let start = used.saturating_mul(per_block);
        match self.area(start, 0, false, Some((index, block))) {
            Ok(_) => Interrupted::Retry,
            Err(error) => Interrupted::Failed(error),
        }
    }

    fn set_block(&mut self, index: usize, block: u64) {
        if self.blocks.len() <= index {
            self.blocks.resize(index + 1, 0);
        }
        if let Some(entry) = self.blocks.get_mut(index) {
            *entry = block;
        }
    }

    /// Builds a refcount area at cluster `start` (qcow2 §9); gives the cluster behind it.
    pub fn area(
        &mut self,
        start: u64,
        extra: u64,
        exact: bool,
        new: Option<(usize, u64)>,
    ) -> Result<u64, LayoutError> {
        let (blocks, table_entries) = self.area_size(start.saturating_add(extra), exact);
        let per_cluster = self.geometry.table_entries_per_cluster();
        let table_clusters = table_entries.div_ceil(per_cluster);
        let table_bytes = table_clusters.saturating_mul(self.geometry.cluster_size());
        if table_bytes > limits::QCOW2_MAX_REFCOUNT_TABLE_BYTES {
            return Err(LayoutError::TooLarge);
        }
        let old = StaleTable {
            first: self.table.start,
            blocks: self.blocks.clone(),
        };
        let old_table = self.table.clone();
        if let Some((index, block)) = new {
            self.set_block(index, block);
        }
        let mut end = start;
        for index in self.block_of(start)..usize::try_from(blocks).unwrap_or(usize::MAX) {
            if !self.has_block(index) {
                self.set_block(index, end);
                end += 1;
            }
        }
        self.table = end..end + table_clusters;
        end += table_clusters;
        self.mark(start..end);
        self.written_end = self.written_end.max(end);
        self.stale.push(old);
        self.unmark(old_table.clone());
        self.free_index = self.free_index.min(old_table.start);
        Ok(end)
    }

    /// Blocks and table entries that cover `clusters` and themselves: a fixed point.
    fn area_size(&self, mut clusters: u64, exact: bool) -> (u64, u64) {
        let per_block = self.geometry.refcount_block_entries();
        let per_table = self.geometry.table_entries_per_cluster();
        let mut grown = exact;
        let (mut blocks, mut table) = (0_u64, 0_u64);
        loop {
            let before = (blocks, table);
            blocks = clusters
                .saturating_add(table)
                .saturating_add(blocks)
                .div_ceil(per_block);
            table = blocks.div_ceil(per_table);
            if before != (blocks, table) {
                continue;
            }
            if grown {
                break;
            }
            grown = true;
            clusters = clusters.saturating_add(table.div_ceil(2));
        }
        let entries = if exact {
            blocks
        } else {
            blocks.saturating_add(blocks.div_ceil(2))
        };
        (blocks, entries)
    }
}
