//! L2 tables that may be changed: allocated, and not shared with a snapshot.

use super::metadata::{FreeReason, Metadata};
use super::refcounts::queue_run;
use super::tables::TableKind;
use crate::base::{Error, GuestOffset, HostOffset, Result};
use crate::format::qcow2::lookup::l2_table_of;
use crate::format::qcow2::{Cluster, L1Entry, L2Entry, l2_entry};
use crate::node::DebugEvent;

impl Metadata {
    /// The L2 table of a guest offset, loaded, and exclusive to the active state.
    pub(super) fn writable_l2(&mut self, offset: GuestOffset) -> Result<HostOffset> {
        let l1_index = self.geometry.l1_index(offset);
        self.grow_l1(l1_index.saturating_add(1), false)?;
        let index = usize::try_from(l1_index).map_err(|_| Error::eio())?;
        let entry = self.l1.get(index).copied().unwrap_or_default();
        let table = match l2_table_of(&self.geometry, entry, l1_index) {
            Ok(table) => table,
            Err(corruption) => return Err(self.corrupt(&corruption)),
        };
        if let Some(table) = table
            && entry.copied()
        {
            self.load(TableKind::L2, table)?;
            return Ok(table);
        }
        let fresh = self.allocate_clusters(1)?;
        if fresh == HostOffset::ZERO {
            return Err(self.mark_corrupt("Preventing invalid allocation of L2 table at offset 0"));
        }
        if let Err(error) = self.attach_l2(index, table, fresh) {
            let attached = self.l1.get(index).and_then(|entry| entry.l2_table()) == Some(fresh);
            if !attached {
                let first = self.geometry.host_cluster(fresh);
                self.free_clusters(first, 1, FreeReason::Never);
            }
            return Err(error);
        }
        if let Some(old) = table {
            let first = self.geometry.host_cluster(old);
            self.free_clusters(first, 1, FreeReason::Other);
        }
        self.load(TableKind::L2, fresh)?;
        Ok(fresh)
    }

    /// Fills the new table from the old one and points the L1 entry at it, each durable before the next
    /// (crash consistency, rule 4).
    fn attach_l2(
        &mut self,
        index: usize,
        old: Option<HostOffset>,
        fresh: HostOffset,
    ) -> Result<()> {
        let mut bytes = vec![0; self.geometry.cluster_bytes()].into_boxed_slice();
        if let Some(old) = old {
            self.file.debug_event(DebugEvent::L2AllocCowRead);
            self.load(TableKind::L2, old)?;
            if let Some(source) = self.l2_tables.peek(old) {
                bytes.copy_from_slice(source);
            }
        }
        self.write_all(TableKind::RefcountBlock)?;
        self.file.flush()?;
        self.insert_new(TableKind::L2, fresh, bytes)?;
        self.file.debug_event(DebugEvent::L2AllocWrite);
        self.write_back(TableKind::L2, fresh)?;
        self.file.flush()?;
        self.set_l1_entry(index, L1Entry::table(fresh, true))?;
        self.file.flush()
    }

    /// Replaces `count` entries of a loaded table from `index` on; `replace` gets each entry with its distance from the first.
    pub(super) fn change_l2(
        &mut self,
        table: HostOffset,
        index: usize,
        count: usize,
        mut replace: impl FnMut(usize, L2Entry) -> L2Entry,
    ) -> Result<()> {
        if !self.refcounts_are_lazy() {
            self.require_other_first(TableKind::L2)?;
        }
        self.load(TableKind::L2, table)?;
        let entry_bytes = self.geometry.l2_entry_bytes();
        let range = index * entry_bytes..(index + count) * entry_bytes;
        let bytes = self.l2_tables.change(table, range).ok_or_else(Error::eio)?;
        for step in 0..count {
            let old = l2_entry::read(&self.geometry, bytes, index + step).ok_or_else(Error::eio)?;
            l2_entry::write(&self.geometry, bytes, index + step, replace(step, old));
        }
        Ok(())
    }

    /// Gives back what replaced entries referred to; neighbours in the file go together.
    pub(super) fn free_entries(&mut self, entries: &[L2Entry], reason: FreeReason) {
        let cluster_size = self.geometry.cluster_size();
        if self.geometry.external_data() {
            self.discard_in_data_file(entries, reason);
            return;
        }
        let mut rest = entries;
        while let Some((entry, _)) = rest.split_first() {
            let run = entry
                .host()
                .filter(|host| host.is_aligned(cluster_size))
                .map(|host| {
                    let follows = |(step, next): &(usize, &L2Entry)| {
                        next.host() == Some(host.saturating_plus(*step as u64 * cluster_size))
                    };
                    (host, rest.iter().enumerate().take_while(follows).count())
                });
            let taken = if let Some((host, count)) = run {
                let first = self.geometry.host_cluster(host);
                self.free_run(first, count as u64, reason);
                count
            } else {
                self.free_entry(*entry, reason);
                1
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
    }

    /// Nothing counts the clusters of a data file; they are only punched.
    fn discard_in_data_file(&mut self, entries: &[L2Entry], reason: FreeReason) {
        if !self.discard_policy.punches(reason) {
            return;
        }
        for entry in entries {
            let (Cluster::Normal(host) | Cluster::ZeroAllocated(host)) =
                entry.cluster(&self.geometry)
            else {
                continue;
            };
            if !host.is_aligned(self.geometry.cluster_size()) {
                continue;
            }
            queue_run(&mut self.data_discards, host, self.geometry.cluster_size());
        }
    }

    /// What waits to be punched out of the data file is punched before something is written to the same place.
    pub(super) fn finish_data_discards(&mut self, host: HostOffset, length: u64) -> Result<()> {
        let end = host.saturating_plus(length);
        let overlaps = |(start, bytes): &(HostOffset, u64)| {
            *start < end && start.saturating_plus(*bytes) > host
        };
        if self.data_discards.iter().any(overlaps) {
            self.flush()?;
        }
        Ok(())
    }

    /// Gives back what an entry that was replaced referred to.
    fn free_entry(&mut self, entry: L2Entry, reason: FreeReason) {
        match entry.cluster(&self.geometry) {
            Cluster::Unallocated | Cluster::ZeroPlain => {}
            Cluster::Normal(host) | Cluster::ZeroAllocated(host) => {
                if !host.is_aligned(self.geometry.cluster_size()) {
                    // Nothing can be freed there; it leaks.
                    self.report_corruption(&format!(
                        "Cannot free unaligned cluster {:#x}",
                        host.bytes()
                    ));
                    return;
                }
                let first = self.geometry.host_cluster(host);
                self.free_clusters(first, 1, reason);
            }
            Cluster::Compressed(descriptor) => {
                let (first, count) = descriptor.host_clusters(&self.geometry);
                self.free_clusters(first, count, reason);
            }
        }
    }
}
