//! Making refcount blocks and larger refcount tables (qcow2 §8, §9).

use super::allocate::HOST_OFFSET_MAX;
use super::metadata::{FreeReason, Metadata};
use super::overlap::Area;
use super::refcounts::{Change, Refusal, TABLE_OFFSET_MASK};
use super::tables::TableKind;
use crate::base::error::errno;
use crate::base::limits::QCOW2_MAX_REFCOUNT_TABLE_BYTES;
use crate::base::{Error, HostOffset, Result};
use crate::format::qcow2::{HostCluster, refcount};
use crate::node::DebugEvent;

/// A refcount block that a new table has to know: its table index and place.
type NewBlock = Option<(u64, HostOffset)>;

/// Sizes of a new refcount area (qcow2 §9).
struct AreaSizes {
    /// Blocks that the area's end needs.
    blocks: u64,
    /// Entries of the new table, a multiple of a cluster's.
    entries: u64,
}

impl Metadata {
    /// Makes the missing block that covers `cluster`. Success is [`Refusal::TryAgain`]: the cluster that the caller
    /// chose may be taken now.
    pub(super) fn make_refcount_block(&mut self, cluster: HostCluster) -> Refusal {
        match self.try_make_refcount_block(cluster) {
            Ok(()) => Refusal::TryAgain,
            Err(refusal) => refusal,
        }
    }

    fn try_make_refcount_block(&mut self, cluster: HostCluster) -> Result<(), Refusal> {
        let table_index = self.geometry.refcount_table_index(cluster);
        let block = self.find_free(1, HOST_OFFSET_MAX)?;
        let offset = self.geometry.host_offset(block);
        if block.index() == 0 {
            return Err(self
                .mark_corrupt("Preventing invalid allocation of refcount block at offset 0")
                .into());
        }
        let mut bytes = vec![0; self.geometry.cluster_bytes()].into_boxed_slice();
        if self.geometry.refcount_table_index(block) == table_index {
            let index = self.geometry.refcount_block_index(block);
            refcount::write(&self.geometry, &mut bytes, index, 1);
        } else if let Err(refusal) = self.change_refcounts(block, 1, Change::Raise) {
            self.lower_free_index(block);
            return Err(refusal);
        }
        self.end_packing_in(block, 1);
        self.prepare_reuse(block, 1)?;
        // Crash consistency, rule 5: L2 tables, then the block, then the table that points at it.
        self.write_all_tables()?;
        self.file.flush()?;
        self.insert_new(TableKind::RefcountBlock, offset, bytes)?;
        let outcome = self.install_refcount_block(cluster, block);
        if outcome.is_err() && self.refcount_block_of(cluster)? != Some(offset) {
            // Nothing points at it: written later, it would hit whoever has the cluster by then.
            self.refcount_blocks.forget(offset);
            self.refcount_block_clusters.remove(&block);
        }
        Ok(outcome?)
    }

    /// Writes the new block, and the table entry or the whole new table that points at it.
    fn install_refcount_block(&mut self, cluster: HostCluster, block: HostCluster) -> Result<()> {
        let table_index = self.geometry.refcount_table_index(cluster);
        let offset = self.geometry.host_offset(block);
        self.file.debug_event(DebugEvent::RefblockAllocWrite);
        let known = usize::try_from(table_index).unwrap_or(usize::MAX);
        if known < self.refcount_table.len() {
            self.refcount_block_clusters.insert(block);
            self.write_back(TableKind::RefcountBlock, offset)?;
            self.file.flush()?;
            return self.set_refcount_table_entry(known, offset);
        }
        self.write_back(TableKind::RefcountBlock, offset)?;
        let per_block = self.geometry.refcount_block_entries();
        let needed = cluster.index().max(block.index()).saturating_add(1);
        let start = HostCluster::new(needed.div_ceil(per_block).saturating_mul(per_block));
        self.build_refcount_area(start, 0, false, Some((table_index, offset)))?;
        Ok(())
    }

    /// Points a table entry at a block, in memory and in the file.
    fn set_refcount_table_entry(&mut self, index: usize, block: HostOffset) -> Result<()> {
        let place = self.header.refcount_table_offset.plus(index as u64 * 8)?;
        self.guard_write(place, 8, Area::RefcountTable)?;
        self.file.debug_event(DebugEvent::RefblockAllocHookup);
        self.file.write_at(place, &block.bytes().to_be_bytes())?;
        if let Some(entry) = self.refcount_table.get_mut(index) {
            *entry = block.bytes();
        }
        Ok(())
    }

    fn area_sizes(&self, start: HostCluster, extra: u64, exact: bool) -> AreaSizes {
        let per_block = self.geometry.refcount_block_entries();
        let per_table_cluster = self.geometry.table_entries_per_cluster();
        let mut clusters = start.index().saturating_add(extra);
        let mut blocks = 0_u64;
        let mut table = 0_u64;
        let mut grown = exact;
        loop {
            let next_blocks = clusters.saturating_add(table + blocks).div_ceil(per_block);
            let next_table = next_blocks.div_ceil(per_table_cluster);
            if (next_blocks, next_table) != (blocks, table) {
                (blocks, table) = (next_blocks, next_table);
            } else if grown {
                break;
            } else {
                clusters = clusters.saturating_add(table.div_ceil(2));
                grown = true;
            }
        }
        let entries = if exact {
            blocks
        } else {
            blocks + blocks.div_ceil(2)
        };
        AreaSizes {
            blocks,
            entries: entries.next_multiple_of(per_table_cluster),
        }
    }

    /// Builds a new refcount table at `start` with every block up to the area's end plus `extra` clusters.
    /// Gives the first cluster behind the area.
    pub(super) fn build_refcount_area(
        &mut self,
        start: HostCluster,
        extra: u64,
        exact: bool,
        new_block: NewBlock,
    ) -> Result<HostCluster> {
        self.file.debug_event(DebugEvent::ReftableGrow);
        let sizes = self.area_sizes(start, extra, exact);
        if sizes.entries.saturating_mul(8) > QCOW2_MAX_REFCOUNT_TABLE_BYTES {
            return Err(Error::bare(errno::EFBIG));
        }
        let mut table = self.refcount_table.clone();
        let entries = usize::try_from(sizes.entries).map_err(|_| Error::bare(errno::EFBIG))?;
        table.resize(entries.max(table.len()), 0);
        if let Some((index, offset)) = new_block
            && let Some(entry) = table.get_mut(usize::try_from(index).unwrap_or(usize::MAX))
        {
            *entry = offset.bytes();
        }
        let first_index = self.geometry.refcount_table_index(start);
        let mut next = start;
        let mut made = Vec::new();
        for index in first_index..sizes.blocks {
            let Some(entry) = table.get_mut(usize::try_from(index).unwrap_or(usize::MAX)) else {
                break;
            };
            if *entry & TABLE_OFFSET_MASK == 0 {
                let offset = self.geometry.host_offset(next);
                *entry = offset.bytes();
                made.push(offset);
                next = next.step(1);
            }
        }
        let table_offset = self.geometry.host_offset(next);
        let table_clusters =
            (table.len() as u64).div_ceil(self.geometry.table_entries_per_cluster());
        let end = next.step(table_clusters);
        for offset in &made {
            let bytes = vec![0; self.geometry.cluster_bytes()].into_boxed_slice();
            self.insert_new(TableKind::RefcountBlock, *offset, bytes)?;
        }
        let outcome = self.adopt_refcount_area(table, table_offset, table_clusters, start, end);
        if outcome.is_err() && self.header.refcount_table_offset != table_offset {
            for offset in made {
                self.refcount_blocks.forget(offset);
            }
        }
        outcome?;
        Ok(end)
    }

    /// Counts the area itself, writes it and switches the header over.
    fn adopt_refcount_area(
        &mut self,
        table: Vec<u64>,
        table_offset: HostOffset,
        table_clusters: u64,
        start: HostCluster,
        end: HostCluster,
    ) -> Result<()> {
        let old_table = std::mem::replace(&mut self.refcount_table, table);
        let outcome = self.write_refcount_area(table_offset, start, end);
        if let Err(error) = outcome {
            self.refcount_table = old_table;
            return Err(error);
        }
        let old_offset = self.header.refcount_table_offset;
        let old_clusters = self.header.refcount_table_clusters;
        self.header.refcount_table_offset = table_offset;
        self.header.refcount_table_clusters =
            u32::try_from(table_clusters).map_err(|_| Error::bare(errno::EFBIG))?;
        self.file.debug_event(DebugEvent::RefblockAllocSwitchTable);
        if let Err(error) = self.write_refcount_table_place() {
            self.header.refcount_table_offset = old_offset;
            self.header.refcount_table_clusters = old_clusters;
            self.refcount_table = old_table;
            return Err(error);
        }
        self.file.flush()?;
        self.rebuild_overlap_index();
        let first = self.geometry.host_cluster(old_offset);
        self.free_clusters(first, u64::from(old_clusters), FreeReason::Other);
        Ok(())
    }

    fn write_refcount_area(
        &mut self,
        table_offset: HostOffset,
        start: HostCluster,
        end: HostCluster,
    ) -> Result<()> {
        let count = end.index() - start.index();
        for step in 0..count {
            let cluster = start.step(step);
            let block = self.refcount_block_of(cluster)?.ok_or_else(Error::eio)?;
            self.load(TableKind::RefcountBlock, block)?;
            let index = self.geometry.refcount_block_index(cluster);
            let range = refcount::byte_range(&self.geometry, index, 1);
            if let Some(bytes) = self.refcount_blocks.change(block, range) {
                refcount::write(&self.geometry, bytes, index, 1);
            }
        }
        self.file.debug_event(DebugEvent::RefblockAllocWriteBlocks);
        self.write_all(TableKind::RefcountBlock)?;
        self.file.flush()?;
        let bytes: Vec<u8> = self
            .refcount_table
            .iter()
            .flat_map(|entry| entry.to_be_bytes())
            .collect();
        self.guard_write(table_offset, bytes.len() as u64, Area::RefcountTable)?;
        self.file.debug_event(DebugEvent::RefblockAllocWriteTable);
        self.file.write_at(table_offset, &bytes)?;
        self.file.flush()
    }
}
