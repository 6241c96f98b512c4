//! Changing the length of the disk (qcow2 §14).

use std::sync::atomic::Ordering;

use super::bitmaps::Bitmaps;
use super::discard::ClusterRange;
use super::image::Qcow2;
use super::metadata::{FreeReason, Metadata};
use super::preallocate::Growth;
use super::tables::TableKind;
use crate::base::error::errno;
use crate::base::{Error, GuestOffset, Result};
use crate::format::qcow2::lookup::Hex;
use crate::format::qcow2::{HostCluster, L1Entry, refcount};
use crate::node::{DebugEvent, Preallocation};

impl Qcow2 {
    /// Grows or shrinks the disk.
    pub(super) fn resize_disk(&self, length: u64, preallocation: Preallocation) -> Result<()> {
        self.check_writable()?;
        let old = self.size();
        let hidden_end = self.end_to_hide(old, length, preallocation)?;
        {
            let _alone = (preallocation != Preallocation::Off).then(|| self.own_all());
            let mut bitmaps = self.bitmaps.lock();
            let growth = Growth {
                old,
                new: length,
                how: preallocation,
                kept: self.last_cluster(length, preallocation)?,
                hides: self.backing_shows_behind(old)?,
            };
            let mut metadata = self.metadata()?;
            self.resize_locked(&mut metadata, &mut bitmaps, length, &growth)?;
        }
        match hidden_end.checked_sub(old) {
            None | Some(0) => Ok(()),
            Some(hidden) => self.zero_new_bytes(GuestOffset::new(old), hidden),
        }
    }

    /// A longer backing file would show in what the disk grows by.
    fn backing_shows_behind(&self, old: u64) -> Result<bool> {
        match self.backing_node() {
            Some(backing) => Ok(backing.length()? > old),
            None => Ok(false),
        }
    }

    /// What a longer backing file has behind the old end must not show through: up to where the disk is zeroed when
    /// it grows.
    pub(super) fn end_to_hide(
        &self,
        old: u64,
        length: u64,
        preallocation: Preallocation,
    ) -> Result<u64> {
        if length <= old || !self.backing_shows_behind(old)? {
            return Ok(old);
        }
        match preallocation {
            // The new clusters hold zeros of their own, and so does the rest of the last one.
            Preallocation::Falloc | Preallocation::Full if self.geometry.extended_l2() => {
                // A data file's clusters are only mapped, as their subclusters were.
                let mapped_only = self.geometry.external_data();
                Ok(if mapped_only { length } else { old })
            }
            Preallocation::Falloc | Preallocation::Full => {
                let end_of_cluster = old.next_multiple_of(self.geometry.cluster_size());
                Ok(end_of_cluster.min(length))
            }
            Preallocation::Off | Preallocation::Metadata if self.version() < 3 => {
                // Version 2 has no zero clusters.
                Err(Error::unsupported("Operation not supported")
                    .prefixed("Failed to zero out new clusters: "))
            }
            Preallocation::Off | Preallocation::Metadata => Ok(length),
        }
    }

    /// The same when the caller owns the whole image.
    pub(super) fn resize_locked(
        &self,
        metadata: &mut Metadata,
        bitmaps: &mut Bitmaps,
        length: u64,
        growth: &Growth,
    ) -> Result<()> {
        metadata.check_resize(bitmaps, length)?;
        let old = metadata.size;
        if length < old {
            if growth.how != Preallocation::Off {
                return Err(Error::caller(
                    "Preallocation can't be used for shrinking an image",
                ));
            }
            metadata.shrink(length)?;
            if let Some(data) = &metadata.data_file {
                data.resize(length, Preallocation::Off)?;
            }
        } else {
            metadata.grow_l1_for(length)?;
            self.preallocate_growth(metadata, growth)?;
        }
        metadata.size = length;
        metadata.header.size = length;
        metadata.flush_all()?;
        metadata.write_size()?;
        metadata.file.flush()?;
        bitmaps.resize(length);
        self.disk_size.store(length, Ordering::Release);
        Ok(())
    }
}

impl Metadata {
    /// Refuses lengths that the image can't have.
    fn check_resize(&self, bitmaps: &Bitmaps, length: u64) -> Result<()> {
        if !length.is_multiple_of(512) {
            return Err(Error::caller("The new size must be a multiple of 512"));
        }
        if self.header.snapshot_count > 0 && self.header.version < 3 {
            return Err(Error::unsupported(
                "Can't resize a v2 image which has snapshots",
            ));
        }
        bitmaps.check_resize()
    }

    /// Room in the L1 table for a longer disk.
    fn grow_l1_for(&mut self, length: u64) -> Result<()> {
        let entries = self.geometry.l1_entries_for(length);
        self.grow_l1(entries, true)
            .map_err(|error| error.prefixed("Failed to grow the L1 table: "))
    }

    /// Drops everything behind the new end: guest clusters, L2 tables, empty refcount blocks, the file's tail.
    fn shrink(&mut self, length: u64) -> Result<()> {
        let geometry = self.geometry;
        let cluster_size = geometry.cluster_size();
        let first = length.next_multiple_of(cluster_size);
        let end = self.size.next_multiple_of(cluster_size);
        let range = ClusterRange {
            first: GuestOffset::new(first),
            clusters: end.saturating_sub(first) / cluster_size,
        };
        self.unmap_range(range, FreeReason::Always)
            .map_err(|error| error.prefixed("Failed to discard cropped clusters: "))?;
        self.shrink_l1(geometry.l1_entries_for(length))
            .map_err(|error| error.prefixed("Failed to reduce the number of L2 tables: "))?;
        self.flush()?;
        self.drop_empty_refcount_blocks()?;
        self.flush()?;
        // What is counted behind the file's end is not there.
        let clusters = self.file.length()?.div_ceil(cluster_size);
        let last = self
            .last_used_cluster(clusters)
            .map_err(|error| error.prefixed("Failed to find the last cluster: "))?;
        let file_end = geometry.host_offset(last.step(1)).bytes();
        if file_end < self.file.length()? {
            self.file.resize(file_end, Preallocation::Off)?;
        }
        Ok(())
    }

    /// Zeroes the entries from `kept` on and frees their tables, with the VM state that lies behind the disk; the
    /// table's length stays (errata 65). The real tool leaks the VM state.
    fn shrink_l1(&mut self, kept: u64) -> Result<()> {
        let kept = usize::try_from(kept).unwrap_or(usize::MAX);
        let dropped: Vec<L1Entry> = self.l1.get(kept..).unwrap_or_default().to_vec();
        if dropped.is_empty() {
            return Ok(());
        }
        self.leave_caches()?;
        self.file.flush()?;
        for entry in self.l1.iter_mut().skip(kept) {
            *entry = L1Entry::EMPTY;
        }
        self.file.debug_event(DebugEvent::L1ShrinkWriteTable);
        self.write_whole_l1()?;
        self.file.flush()?;
        self.file.debug_event(DebugEvent::L1ShrinkFreeL2Clusters);
        for table in dropped.iter().filter_map(|entry| entry.l2_table()) {
            let cluster = self.geometry.host_cluster(table);
            self.active_l2_clusters.remove(&cluster);
        }
        self.lower_tree(&dropped, FreeReason::Always)
    }

    /// Drops refcount blocks that count nothing but themselves.
    fn drop_empty_refcount_blocks(&mut self) -> Result<()> {
        let per_block = self.geometry.refcount_block_entries();
        let mut emptied = Vec::new();
        for index in 0..self.refcount_table.len() as u64 {
            let first = HostCluster::new(index.saturating_mul(per_block));
            let failed = |error: Error| error.prefixed("Failed to shrink the refcount table: ");
            let Some(block) = self.refcount_block_of(first).map_err(failed)? else {
                continue;
            };
            self.load(TableKind::RefcountBlock, block).map_err(failed)?;
            let own = self.geometry.host_cluster(block);
            let own_index = (self.geometry.refcount_table_index(own) == index)
                .then(|| self.geometry.refcount_block_index(own));
            let bytes = self.refcount_blocks.peek(block).ok_or_else(Error::eio)?;
            let mut at = 0;
            let mut empty = true;
            while let Some(used) = refcount::next_used(&self.geometry, bytes, at) {
                if Some(used) != own_index {
                    empty = false;
                    break;
                }
                at = used + 1;
            }
            if empty {
                emptied.push((index, own));
            }
        }
        for (index, block) in emptied {
            self.drop_refcount_block(index, block)
                .map_err(|error| error.prefixed("Failed to discard unused refblocks: "))?;
        }
        Ok(())
    }

    fn drop_refcount_block(&mut self, index: u64, block: HostCluster) -> Result<()> {
        let offset = self.geometry.host_offset(block);
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let place = self.header.refcount_table_offset.plus(index as u64 * 8)?;
        let old = self.refcount_table.get(index).copied().unwrap_or(0);
        self.switch(0_u64, old, &mut |metadata, entry| {
            metadata.file.write_at(place, &entry.to_be_bytes())
        })?;
        if let Some(entry) = self.refcount_table.get_mut(index) {
            *entry = 0;
        }
        self.refcount_block_clusters.remove(&block);
        self.refcount_blocks.forget(offset);
        // A block that counted itself is gone with its count.
        let Some(counting) = self.refcount_block_of(block)? else {
            self.lower_free_index(block);
            return Ok(());
        };
        let count = self.refcount(block)?;
        if count != 1 {
            let corrupt = self.mark_corrupt(&format!(
                "Invalid refcount: refblock offset {}, reftable index {}, block offset {}, refcount {}",
                Hex(counting.bytes()),
                self.geometry.refcount_table_index(block),
                Hex(offset.bytes()),
                Hex(count)
            ));
            return Err(corrupt.with_errno(errno::EINVAL));
        }
        self.free_clusters(block, 1, FreeReason::Other);
        Ok(())
    }

    /// The last cluster with a count among the file's first `clusters`.
    pub(super) fn last_used_cluster(&mut self, clusters: u64) -> Result<HostCluster> {
        let per_block = self.geometry.refcount_block_entries();
        for index in (0..self.refcount_table.len() as u64).rev() {
            let first = HostCluster::new(index.saturating_mul(per_block));
            let Some(block) = self.refcount_block_of(first)? else {
                continue;
            };
            self.load(TableKind::RefcountBlock, block)?;
            let bytes = self.refcount_blocks.peek(block).ok_or_else(Error::eio)?;
            let mut last = None;
            let mut at = 0;
            while let Some(used) = refcount::next_used(&self.geometry, bytes, at)
                && first.step(used as u64).index() < clusters
            {
                last = Some(used);
                at = used + 1;
            }
            if let Some(last) = last {
                return Ok(first.step(last as u64));
            }
        }
        Err(self.mark_corrupt("There are no references in the refcount table."))
    }
}
