//! Version 2 has no zero flag: clusters that carry it are unmapped, or hold zeros.

use super::phases::Phases;
use crate::base::{Error, GuestOffset, HostOffset, Result};
use crate::driver::qcow2::image::Qcow2;
use crate::driver::qcow2::metadata::{FreeReason, Metadata};
use crate::driver::qcow2::overlap::Area;
use crate::format::qcow2::{Cluster, HostCluster, L1Entry, L2Entry, l2_entry};

/// An L2 table that is being rewritten.
struct Table {
    place: HostOffset,
    bytes: Vec<u8>,
    /// How many L1 tables share it.
    users: u64,
    /// The first guest offset that it maps.
    first: GuestOffset,
}

impl Qcow2 {
    /// Rewrites all zero clusters of the active state and of all snapshots.
    pub(super) fn expand_zero_clusters(
        &self,
        metadata: &mut Metadata,
        phases: &mut Phases<'_>,
    ) -> Result<()> {
        metadata.leave_caches()?;
        let tables = metadata.all_l1_tables()?;
        let total = tables.iter().map(|l1| l1.len() as u64).sum();
        let mut done = 0;
        for l1 in tables {
            for (index, entry) in (0..).zip(l1) {
                self.expand_table(metadata, index, entry)?;
                done += 1;
                phases.report(done, total);
            }
        }
        metadata.leave_caches()
    }

    fn expand_table(&self, metadata: &mut Metadata, index: u64, entry: L1Entry) -> Result<()> {
        let geometry = self.geometry;
        let Some(place) = metadata.checked_table(entry, index)? else {
            return Ok(());
        };
        let per_table = geometry.l2_entries() * geometry.cluster_size();
        let mut table = Table {
            place,
            bytes: metadata.read_l2(place)?,
            users: metadata.refcount(geometry.host_cluster(place))?,
            first: GuestOffset::new(index.saturating_mul(per_table)),
        };
        let mut freed = Vec::new();
        let mut changed = false;
        let mut at = 0;
        while let Some(old) = l2_entry::read(&geometry, &table.bytes, at) {
            let zero = matches!(
                old.cluster(&geometry),
                Cluster::ZeroPlain | Cluster::ZeroAllocated(_)
            );
            if zero {
                let new = self.expand_entry(metadata, &table, at, old, &mut freed)?;
                l2_entry::write(&geometry, &mut table.bytes, at, new);
                changed = true;
            }
            at += 1;
        }
        if !changed {
            return Ok(());
        }
        // Counts and zeros are durable before the entries that rely on them.
        metadata.flush()?;
        metadata.guard_write(table.place, table.bytes.len() as u64, Area::ActiveL2)?;
        metadata.file.write_at(table.place, &table.bytes)?;
        metadata.file.flush()?;
        for cluster in freed {
            for _ in 0..table.users {
                metadata.free_clusters(cluster, 1, FreeReason::Other);
                metadata.check_alive()?;
            }
        }
        Ok(())
    }

    /// What an entry with the zero flag becomes.
    fn expand_entry(
        &self,
        metadata: &mut Metadata,
        table: &Table,
        at: usize,
        old: L2Entry,
        freed: &mut Vec<HostCluster>,
    ) -> Result<L2Entry> {
        let geometry = self.geometry;
        let backed = metadata.backing_name.is_some();
        if let Some(host) = old.host() {
            if !host.is_aligned(geometry.cluster_size()) {
                return Err(Error::eio());
            }
            let cluster = geometry.host_cluster(host);
            // The zeros go where nobody else keeps data.
            if metadata.refcount(cluster)? <= table.users {
                self.write_zero_cluster(table, at, host)?;
                return Ok(L2Entry::data(host).with_copied(old.copied()));
            }
            freed.push(cluster);
        }
        if !backed {
            return Ok(L2Entry::EMPTY);
        }
        let host = metadata.allocate_clusters(1)?;
        let cluster = geometry.host_cluster(host);
        for _ in 1..table.users {
            metadata.raise_refcounts(cluster, 1)?;
        }
        self.write_zero_cluster(table, at, host)?;
        Ok(L2Entry::data(host).with_copied(table.users == 1))
    }

    fn write_zero_cluster(&self, table: &Table, at: usize, host: HostOffset) -> Result<()> {
        let mut zeros = vec![0; self.geometry.cluster_bytes()];
        if let Some(encryption) = &self.encryption {
            let guest = table.first.plus(at as u64 * self.geometry.cluster_size())?;
            encryption.encrypt(guest, host, &mut zeros);
        }
        self.file.write_at(host, &zeros)
    }
}
