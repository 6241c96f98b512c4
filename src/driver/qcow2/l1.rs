//! The active L1 table in the file.

use super::metadata::{FreeReason, Metadata};
use super::overlap::Area;
use super::tables::TableKind;
use crate::base::error::errno;
use crate::base::limits::QCOW2_MAX_L1_BYTES;
use crate::base::{Error, HostOffset, Result};
use crate::format::qcow2::L1Entry;
use crate::node::DebugEvent;

/// Bytes of a table of L1 entries.
pub(super) fn l1_bytes(entries: &[L1Entry]) -> Vec<u8> {
    entries
        .iter()
        .flat_map(|entry| entry.raw().to_be_bytes())
        .collect()
}

impl Metadata {
    /// Changes one entry in memory and in the file; the caller flushes.
    pub(super) fn set_l1_entry(&mut self, index: usize, entry: L1Entry) -> Result<()> {
        let place = self.header.l1_offset.plus(index as u64 * 8)?;
        self.guard_write(place, 8, Area::ActiveL1)?;
        let old = *self.l1.get(index).ok_or_else(Error::eio)?;
        self.file.debug_event(DebugEvent::L1Update);
        self.file.write_at(place, &entry.raw().to_be_bytes())?;
        if let Some(slot) = self.l1.get_mut(index) {
            *slot = entry;
        }
        if let Some(table) = old.l2_table() {
            self.active_l2_clusters
                .remove(&self.geometry.host_cluster(table));
        }
        if let Some(table) = entry.l2_table() {
            self.active_l2_clusters
                .insert(self.geometry.host_cluster(table));
        }
        Ok(())
    }

    /// Writes all entries to the active table's place; the caller flushes.
    pub(super) fn write_whole_l1(&mut self) -> Result<()> {
        let bytes = l1_bytes(&self.l1);
        let place = self.header.l1_offset;
        self.guard_write(place, bytes.len() as u64, Area::ActiveL1)?;
        self.file.write_at(place, &bytes)
    }

    /// Makes room for `needed` entries: exactly, or in steps of one and a half (qcow2 §6, §14).
    pub(super) fn grow_l1(&mut self, needed: u64, exact: bool) -> Result<()> {
        let current = self.l1.len() as u64;
        if needed <= current {
            return Ok(());
        }
        let mut entries = needed;
        if !exact {
            entries = current.max(1);
            while entries < needed {
                entries = (entries * 3).div_ceil(2);
            }
        }
        if entries > QCOW2_MAX_L1_BYTES / 8 {
            return Err(Error::bare(errno::EFBIG));
        }
        let count = usize::try_from(entries).map_err(|_| Error::bare(errno::EFBIG))?;
        let clusters = (entries * 8).div_ceil(self.geometry.cluster_size());
        self.file.debug_event(DebugEvent::L1GrowAllocTable);
        let place = self.allocate_clusters(clusters)?;
        let outcome = self.move_l1(place, count);
        if outcome.is_err() && self.header.l1_offset != place {
            let first = self.geometry.host_cluster(place);
            self.free_clusters(first, clusters, FreeReason::Never);
        }
        outcome
    }

    /// Writes the table with `count` entries at a new place and switches the header over.
    fn move_l1(&mut self, place: HostOffset, count: usize) -> Result<()> {
        self.write_all(TableKind::RefcountBlock)?;
        self.file.flush()?;
        let mut entries = self.l1.clone();
        let old_entries = entries.len() as u64;
        entries.resize(count, L1Entry::EMPTY);
        let bytes = l1_bytes(&entries);
        self.guard_write(place, bytes.len() as u64, Area::ActiveL1)?;
        self.file.debug_event(DebugEvent::L1GrowWriteTable);
        self.file.write_at(place, &bytes)?;
        self.file.flush()?;
        self.file.debug_event(DebugEvent::L1GrowActivateTable);
        let old_place = self.header.l1_offset;
        let old = (old_place, self.header.l1_entries);
        let count = u32::try_from(count).map_err(|_| Error::bare(errno::EFBIG))?;
        self.switch((place, count), old, &mut |metadata, (place, count)| {
            metadata.header.l1_offset = place;
            metadata.header.l1_entries = count;
            metadata.write_l1_place()
        })?;
        self.l1 = entries;
        let old_clusters = (old_entries * 8).div_ceil(self.geometry.cluster_size());
        let first = self.geometry.host_cluster(old_place);
        self.free_clusters(first, old_clusters, FreeReason::Other);
        Ok(())
    }
}
