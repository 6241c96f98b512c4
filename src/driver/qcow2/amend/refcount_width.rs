//! Refcounts of another width: a whole new structure beside the old one, then the header, then the old one is freed.

use super::phases::Phases;
use crate::base::error::errno;
use crate::base::limits::QCOW2_MAX_REFCOUNT_TABLE_BYTES;
use crate::base::{Error, HostOffset, Result};
use crate::driver::qcow2::metadata::{FreeReason, Metadata};
use crate::driver::qcow2::overlap::Area;
use crate::driver::qcow2::refcounts::TABLE_OFFSET_MASK;
use crate::driver::qcow2::tables::TableKind;
use crate::format::qcow2::{Geometry, HostCluster, refcount};

/// Walks over the old table that progress counts on.
const WALKS: u64 = 3;

/// The structure that is being made. Its clusters are counted in the old one.
struct NewCounts {
    geometry: Geometry,
    /// Places of the new blocks, 0 where none is needed.
    table: Vec<u64>,
    table_place: Option<HostCluster>,
    table_clusters: u64,
}

impl NewCounts {
    fn block(&self, cluster: HostCluster) -> u64 {
        usize::try_from(self.geometry.refcount_table_index(cluster))
            .ok()
            .and_then(|index| self.table.get(index).copied())
            .unwrap_or(0)
    }
}

impl Metadata {
    /// Changes the width to `1 << order` bits. A failure leaves the old structure as it was.
    pub(super) fn change_refcount_width(
        &mut self,
        order: u32,
        phases: &mut Phases<'_>,
    ) -> Result<()> {
        let old = self.geometry;
        let extended = old.l2_entry_bytes() > 8;
        let geometry = Geometry::new(old.cluster_bits(), order, extended)
            .ok_or_else(|| Error::bare(errno::EINVAL))?;
        let mut new = NewCounts {
            geometry,
            table: Vec::new(),
            table_place: None,
            table_clusters: 0,
        };
        self.flush_all()?;
        let made = self
            .allocate_new_counts(&mut new, phases)
            .and_then(|walks| self.write_new_counts(&new, walks, phases));
        if let Err(error) = made {
            self.drop_new_counts(&new);
            return Err(error);
        }
        self.adopt_new_counts(new)
    }

    /// Allocates blocks and table until what that allocates needs no more of them. Gives the number of walks.
    fn allocate_new_counts(&mut self, new: &mut NewCounts, phases: &mut Phases<'_>) -> Result<u64> {
        let mut walks = 0;
        loop {
            let mut grew = false;
            for index in 0..self.refcount_table.len() {
                self.report_walk(phases, walks, index);
                grew |= self.allocate_new_blocks(new, index)?;
            }
            walks += 1;
            grew |= self.allocate_new_table(new)?;
            if !grew {
                return Ok(walks);
            }
        }
    }

    fn report_walk(&self, phases: &mut Phases<'_>, walk: u64, index: usize) {
        let entries = self.refcount_table.len() as u64;
        let total = WALKS.max(walk + 1) * entries;
        phases.report(walk * entries + index as u64, total);
    }

    /// The counts of the old block at `index`, in use only.
    fn used_counts(&mut self, index: usize) -> Result<Vec<(HostCluster, u64)>> {
        let geometry = self.geometry;
        let first =
            HostCluster::new((index as u64).saturating_mul(geometry.refcount_block_entries()));
        let Some(block) = self.refcount_block_of(first)? else {
            return Ok(Vec::new());
        };
        self.load(TableKind::RefcountBlock, block)?;
        let bytes = self.refcount_blocks.peek(block).ok_or_else(Error::eio)?;
        let mut counts = Vec::new();
        let mut at = 0;
        while let Some(used) = refcount::next_used(&geometry, bytes, at) {
            let count = refcount::read(&geometry, bytes, used).unwrap_or(0);
            counts.push((first.step(used as u64), count));
            at = used + 1;
        }
        Ok(counts)
    }

    fn allocate_new_blocks(&mut self, new: &mut NewCounts, index: usize) -> Result<bool> {
        let mut grew = false;
        for (cluster, count) in self.used_counts(index)? {
            if count > new.geometry.refcount_max() {
                let bits = 1_u64 << new.geometry.refcount_order();
                let offset = self.geometry.host_offset(cluster).bytes();
                return Err(Error::caller(format!(
                    "Cannot decrease refcount entry width to {bits} bits: Cluster at offset {offset:#x} has a refcount of {count}"
                )));
            }
            if new.block(cluster) != 0 {
                continue;
            }
            let place = usize::try_from(new.geometry.refcount_table_index(cluster))
                .map_err(|_| Error::bare(errno::EFBIG))?;
            if place as u64 * 8 >= QCOW2_MAX_REFCOUNT_TABLE_BYTES {
                return Err(Error::bare(errno::ENOTSUP));
            }
            if new.table.len() <= place {
                new.table.resize(place + 1, 0);
            }
            let block = self.allocate_clusters(1)?;
            if let Some(entry) = new.table.get_mut(place) {
                *entry = block.bytes();
            }
            grew = true;
        }
        Ok(grew)
    }

    fn allocate_new_table(&mut self, new: &mut NewCounts) -> Result<bool> {
        let clusters = (new.table.len() as u64).div_ceil(new.geometry.table_entries_per_cluster());
        if clusters <= new.table_clusters {
            return Ok(false);
        }
        if let Some(place) = new.table_place.take() {
            self.free_clusters(place, new.table_clusters, FreeReason::Never);
            self.check_alive()?;
        }
        let place = self.allocate_clusters(clusters)?;
        new.table_place = Some(self.geometry.host_cluster(place));
        new.table_clusters = clusters;
        Ok(true)
    }

    /// Writes blocks and table, durably. The old counts, which count these clusters, are durable before.
    fn write_new_counts(
        &mut self,
        new: &NewCounts,
        walks: u64,
        phases: &mut Phases<'_>,
    ) -> Result<()> {
        self.flush_all()?;
        let mut pending: Option<(u64, Vec<u8>)> = None;
        for index in 0..self.refcount_table.len() {
            self.report_walk(phases, walks, index);
            for (cluster, count) in self.used_counts(index)? {
                let place = new.block(cluster);
                if pending.as_ref().is_none_or(|(block, _)| *block != place) {
                    if let Some((block, bytes)) = pending.take() {
                        self.write_new_block(HostOffset::new(block), &bytes)?;
                    }
                    pending = Some((place, vec![0; self.geometry.cluster_bytes()]));
                }
                let at = new.geometry.refcount_block_index(cluster);
                if let Some((_, bytes)) = &mut pending
                    && (place == 0 || !refcount::write(&new.geometry, bytes, at, count))
                {
                    return Err(Error::eio());
                }
            }
        }
        if let Some((block, bytes)) = pending {
            self.write_new_block(HostOffset::new(block), &bytes)?;
        }
        let place = new.table_place.ok_or_else(Error::eio)?;
        let offset = self.geometry.host_offset(place);
        let mut bytes: Vec<u8> = new
            .table
            .iter()
            .flat_map(|entry| entry.to_be_bytes())
            .collect();
        bytes.resize(
            bytes.len().next_multiple_of(self.geometry.cluster_bytes()),
            0,
        );
        self.guard_write(offset, bytes.len() as u64, Area::RefcountTable)?;
        self.file.write_at(offset, &bytes)?;
        self.file.flush()?;
        let total = WALKS.max(walks + 1) * self.refcount_table.len() as u64;
        phases.report(total, total);
        Ok(())
    }

    fn write_new_block(&mut self, offset: HostOffset, bytes: &[u8]) -> Result<()> {
        self.guard_write(offset, bytes.len() as u64, Area::RefcountBlock)?;
        self.file.write_at(offset, bytes)
    }

    /// After a failure: what can't be freed leaks.
    fn drop_new_counts(&mut self, new: &NewCounts) {
        for block in new.table.iter().filter(|block| **block != 0) {
            let cluster = self.geometry.host_cluster(HostOffset::new(*block));
            self.free_clusters(cluster, 1, FreeReason::Never);
        }
        if let Some(place) = new.table_place {
            self.free_clusters(place, new.table_clusters, FreeReason::Never);
        }
        let _ = self.flush();
    }

    /// Switches the header over and frees the old structure.
    fn adopt_new_counts(&mut self, new: NewCounts) -> Result<()> {
        let place = new.table_place.ok_or_else(Error::eio)?;
        let table_offset = self.geometry.host_offset(place);
        let clusters = u32::try_from(new.table_clusters).map_err(|_| Error::bare(errno::EFBIG))?;
        let old_first = self
            .geometry
            .host_cluster(self.header.refcount_table_offset);
        let old_clusters = u64::from(self.header.refcount_table_clusters);
        let order = new.geometry.refcount_order();
        let switched = self.change_header(|header| {
            header.refcount_order = order;
            header.refcount_table_offset = table_offset;
            header.refcount_table_clusters = clusters;
        });
        if let Err(error) = switched {
            self.drop_new_counts(&new);
            return Err(error);
        }
        let entries = new.table_clusters * new.geometry.table_entries_per_cluster();
        let mut table = new.table;
        table.resize(
            usize::try_from(entries).map_err(|_| Error::bare(errno::EFBIG))?,
            0,
        );
        let old_table = std::mem::replace(&mut self.refcount_table, table);
        self.geometry = new.geometry;
        self.refcount_blocks.clear();
        self.rebuild_overlap_index();
        for block in old_table {
            let block = block & TABLE_OFFSET_MASK;
            if block != 0 {
                let cluster = self.geometry.host_cluster(HostOffset::new(block));
                self.free_clusters(cluster, 1, FreeReason::Other);
                self.check_alive()?;
            }
        }
        self.free_clusters(old_first, old_clusters, FreeReason::Other);
        self.check_alive()?;
        self.flush()
    }
}
