//! Choosing free clusters (qcow2 §8).

use super::metadata::Metadata;
use super::refcounts::{Change, Refusal};
use super::tables::TableKind;
use crate::base::error::errno;
use crate::base::{Error, HostOffset, Result};
use crate::format::qcow2::{CompressedDescriptor, HostCluster, refcount};
use crate::node::DebugEvent;

/// Offsets of tables and data stay below this (qcow2 §15).
pub(super) const HOST_OFFSET_MAX: u64 = (1 << 56) - 1;

impl Metadata {
    /// The first run of `count` free clusters from `free_index` on, which ends up behind it. Counts are not raised.
    pub(super) fn find_free(&mut self, count: u64, offset_max: u64) -> Result<HostCluster> {
        let mut first = self.free_index;
        let mut found = 0;
        while found < count {
            let cluster = first.step(found);
            let (free, used) = self.free_stretch(cluster, count - found)?;
            found += free;
            if found < count && used > 0 {
                first = first.step(found + used);
                found = 0;
            }
            if found == count
                && let Some(behind) = self.in_flight.behind_use(&self.geometry, first, count)
            {
                first = behind;
                found = 0;
            }
            let end = self.geometry.host_offset(first.step(found)).bytes();
            if end.saturating_sub(1) > offset_max {
                return Err(Error::bare(errno::EFBIG));
            }
        }
        self.free_index = first.step(count);
        Ok(first)
    }

    /// From `cluster` on: how many are free (at most `wanted`), and when that is fewer, how many behind them are used.
    fn free_stretch(&mut self, cluster: HostCluster, wanted: u64) -> Result<(u64, u64)> {
        let per_block = self.geometry.refcount_block_entries();
        let index = self.geometry.refcount_block_index(cluster);
        let left = per_block - index as u64;
        let Some(block) = self.refcount_block_of(cluster)? else {
            return Ok((left.min(wanted), 0));
        };
        self.load(TableKind::RefcountBlock, block)?;
        let bytes = self.refcount_blocks.peek(block).ok_or_else(Error::eio)?;
        let geometry = &self.geometry;
        let distance =
            |end: Option<usize>, from: usize| end.map_or(per_block, |end| end as u64) - from as u64;
        if refcount::read(geometry, bytes, index) == Some(0) {
            // Only as far as needed: a fresh block is free to its end.
            let mut free = 1;
            while free < wanted.min(left)
                && refcount::read(geometry, bytes, index + usize::try_from(free).unwrap_or(0))
                    == Some(0)
            {
                free += 1;
            }
            let used = u64::from(free < wanted.min(left));
            return Ok((free, used));
        }
        Ok((
            0,
            distance(refcount::next_free(geometry, bytes, index), index),
        ))
    }

    /// Allocates `count` contiguous clusters, counts raised.
    pub(super) fn allocate_clusters(&mut self, count: u64) -> Result<HostOffset> {
        self.file.debug_event(DebugEvent::ClusterAlloc);
        loop {
            let first = self.find_free(count, HOST_OFFSET_MAX)?;
            match self.change_refcounts(first, count, Change::Raise) {
                Ok(()) => {
                    self.end_packing_in(first, count);
                    self.prepare_reuse(first, count)?;
                    return Ok(self.geometry.host_offset(first));
                }
                Err(Refusal::TryAgain) => self.lower_free_index(first),
                Err(Refusal::Failed(error)) => return Err(error),
            }
        }
    }

    /// Allocates up to `count` clusters at exactly that place; gives how many were free there.
    pub(super) fn allocate_at(&mut self, offset: HostOffset, count: u64) -> Result<u64> {
        let first = self.geometry.host_cluster(offset);
        loop {
            let mut free = 0;
            while free < count
                && self.refcount(first.step(free))? == 0
                && self
                    .in_flight
                    .behind_use(&self.geometry, first.step(free), 1)
                    .is_none()
            {
                free += 1;
            }
            if free == 0 {
                return Ok(0);
            }
            match self.change_refcounts(first, free, Change::Raise) {
                Ok(()) => {
                    self.end_packing_in(first, free);
                    self.prepare_reuse(first, free)?;
                    return Ok(free);
                }
                Err(Refusal::TryAgain) => {}
                Err(Refusal::Failed(error)) => return Err(error),
            }
        }
    }

    /// Space for `length` bytes of compressed data, packed behind the previous one where possible (qcow2 §3).
    pub(super) fn allocate_bytes(&mut self, length: u64) -> Result<HostOffset> {
        self.file.debug_event(DebugEvent::ClusterAllocBytes);
        let cluster_size = self.geometry.cluster_size();
        let offset_max = CompressedDescriptor::offset_max(&self.geometry).min(HOST_OFFSET_MAX);
        let mut start = self.compressed_end.take();
        if let Some(end) = start {
            let count = self.refcount(self.geometry.host_cluster(end))?;
            if count == self.geometry.refcount_max() {
                start = None;
            }
        }
        loop {
            let room = start.map_or(0, |start| cluster_size - start.within(cluster_size));
            let place = match start {
                Some(start) if room >= length => start,
                _ => {
                    let fresh = self.find_free(1, offset_max)?;
                    let fresh_offset = self.geometry.host_offset(fresh);
                    match start {
                        Some(start) if start.saturating_plus(room) == fresh_offset => start,
                        _ => fresh_offset,
                    }
                }
            };
            let first = self.geometry.host_cluster(place);
            let last = self
                .geometry
                .host_cluster(place.saturating_plus(length - 1));
            let touched = last.index() - first.index() + 1;
            match self.change_refcounts(first, touched, Change::Raise) {
                Ok(()) => {
                    self.prepare_reuse(first, touched)?;
                    let end = place.saturating_plus(length);
                    self.compressed_end = (!end.is_aligned(cluster_size)).then_some(end);
                    return Ok(place);
                }
                Err(Refusal::TryAgain) => self.lower_free_index(first),
                Err(Refusal::Failed(error)) => return Err(error),
            }
        }
    }

    /// Compressed data is not packed into a cluster that was freed and then given to something else. The real tool
    /// does that and overwrites the cluster's new content.
    pub(super) fn end_packing_in(&mut self, first: HostCluster, count: u64) {
        let inside = |end: HostOffset| {
            let cluster = self.geometry.host_cluster(end);
            cluster >= first && cluster < first.step(count)
        };
        if self.compressed_end.is_some_and(inside) {
            self.compressed_end = None;
        }
    }

    pub(super) fn lower_free_index(&mut self, cluster: HostCluster) {
        self.free_index = self.free_index.min(cluster);
    }

    /// Clusters freed since the last flush are reused only when their old mapping is durably gone: otherwise a
    /// crash could leave the old mapping over the new data.
    pub(super) fn prepare_reuse(&mut self, first: HostCluster, count: u64) -> Result<()> {
        #[cfg(feature = "mutants")]
        crate::driver::mutants::note_allocation(
            self.geometry.host_offset(first),
            count * self.geometry.cluster_size(),
            self.file.length()?,
        );
        if self.freed.is_empty() {
            return Ok(());
        }
        if (0..count).any(|step| self.freed.contains(&first.step(step))) {
            self.flush()?;
        }
        Ok(())
    }
}
