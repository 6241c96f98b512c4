//! Giving guest clusters back (qcow2 §11).

use super::image::Qcow2;
use super::metadata::{FreeReason, Metadata};
use crate::base::{Error, GuestOffset, Result};
use crate::format::qcow2::{Cluster, Geometry, L2Entry, l2_entry};

/// Whole clusters of a guest range.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClusterRange {
    pub(super) first: GuestOffset,
    pub(super) clusters: u64,
}

impl Qcow2 {
    /// The whole clusters inside a range; the disk's last, short cluster counts as whole.
    pub(super) fn whole_clusters(&self, offset: GuestOffset, length: u64) -> ClusterRange {
        let cluster_size = self.geometry.cluster_size();
        let mut end = offset.saturating_plus(length);
        if end.bytes() >= self.size() {
            end = end.saturating_plus(cluster_size - 1);
        }
        let first = offset
            .saturating_plus(cluster_size - 1)
            .align_down(cluster_size);
        ClusterRange {
            first,
            clusters: end.align_down(cluster_size).distance_from(first) / cluster_size,
        }
    }

    /// A guest's discard: partial clusters stay.
    pub(super) fn discard_disk(&self, offset: GuestOffset, length: u64) -> Result<()> {
        self.check_range(offset, length)?;
        self.check_writable()?;
        // An image that was marked corrupt refuses even what would have no effect.
        drop(self.metadata()?);
        if !self.honours_discard {
            return Ok(());
        }
        // Of a dead image not even nothing can be discarded.
        drop(self.metadata()?);
        self.mark_dirty(offset.bytes(), length);
        let range = self.whole_clusters(offset, length);
        if range.clusters == 0 {
            return Ok(());
        }
        let _request = self.request();
        let backed = self.backing_node().is_some();
        self.metadata()?
            .discard_range(range, backed, FreeReason::Request)
    }
}

impl Metadata {
    /// Discards whole clusters the way a guest's request does.
    pub(super) fn discard_range(
        &mut self,
        range: ClusterRange,
        backed: bool,
        reason: FreeReason,
    ) -> Result<()> {
        let geometry = self.geometry;
        let version = self.header.version;
        let keep = self.discard_no_unref;
        self.for_each_table(range, |metadata, first, count| {
            metadata.replace_entries(first, count, reason, |old| {
                discarded(&geometry, old, version, backed, keep)
            })
        })
    }

    /// Makes whole clusters unallocated, whatever the version: what lay behind a new end of the disk.
    pub(super) fn unmap_range(&mut self, range: ClusterRange, reason: FreeReason) -> Result<()> {
        self.for_each_table(range, |metadata, first, count| {
            metadata.replace_entries(first, count, reason, |_| L2Entry::EMPTY)
        })
    }

    /// Splits a range at the ends of L2 tables.
    pub(super) fn for_each_table(
        &mut self,
        range: ClusterRange,
        mut each: impl FnMut(&mut Self, GuestOffset, usize) -> Result<()>,
    ) -> Result<()> {
        let mut first = range.first;
        let mut left = range.clusters;
        while left > 0 {
            let in_table = self.geometry.l2_entries() - self.geometry.l2_index(first) as u64;
            let count = in_table.min(left);
            each(self, first, usize::try_from(count).unwrap_or(usize::MAX))?;
            first = first.plus(count * self.geometry.cluster_size())?;
            left -= count;
        }
        Ok(())
    }

    /// Replaces entries of one table and frees what the old ones referred to and the new ones don't.
    pub(super) fn replace_entries(
        &mut self,
        first: GuestOffset,
        count: usize,
        reason: FreeReason,
        replacement: impl Fn(L2Entry) -> L2Entry,
    ) -> Result<()> {
        let table = self.writable_l2(first)?;
        let index = self.geometry.l2_index(first);
        let bytes = self.l2_tables.peek(table).ok_or_else(Error::eio)?;
        let changes = |step: usize| {
            l2_entry::read(&self.geometry, bytes, index + step)
                .is_some_and(|old| replacement(old) != old)
        };
        if !(0..count).any(changes) {
            return Ok(());
        }
        let mut freed = Vec::new();
        self.change_l2(table, index, count, |_, old| {
            let new = replacement(old);
            if new != old && (new.host().is_none() || new.host() != old.host()) {
                freed.push(old);
            }
            new
        })?;
        self.free_entries(&freed, reason);
        Ok(())
    }
}

/// What a discard makes of an entry.
fn discarded(geometry: &Geometry, old: L2Entry, version: u32, backed: bool, keep: bool) -> L2Entry {
    match (version, old.cluster(geometry)) {
        (2, _) if backed => old,
        (2, _) => L2Entry::EMPTY,
        (_, Cluster::Unallocated) if !backed => old,
        (_, Cluster::Normal(_) | Cluster::ZeroAllocated(_)) if keep => old.with_zero(geometry),
        _ => L2Entry::zero_plain(geometry),
    }
}
