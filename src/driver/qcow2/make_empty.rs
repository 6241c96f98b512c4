//! Dropping everything that an image allocates, after a commit (qcow2 §14).

use super::discard::ClusterRange;
use super::image::Qcow2;
use super::metadata::{FreeReason, Metadata};
use super::overlap::Area;
use crate::base::error::errno;
use crate::base::{Error, GuestOffset, HostOffset, Result};
use crate::format::qcow2::header::{CryptMethod, IncompatibleFeatures};
use crate::format::qcow2::{HostCluster, L1Entry, refcount};
use crate::node::{DebugEvent, Preallocation, ZeroFlags};

impl Qcow2 {
    /// Makes every read go to the backing node.
    pub(super) fn empty_image(&self) -> Result<()> {
        self.check_writable()?;
        let _own = self.own_all();
        self.metadata()?.make_empty()
    }
}

impl Metadata {
    fn make_empty(&mut self) -> Result<()> {
        let l1_clusters = (self.l1.len() as u64 * 8).div_ceil(self.geometry.cluster_size());
        if self.may_start_anew(l1_clusters) {
            return self.start_anew(l1_clusters);
        }
        let range = ClusterRange {
            first: GuestOffset::ZERO,
            clusters: self.geometry.clusters_for(self.size),
        };
        self.unmap_range(range, FreeReason::Snapshot)?;
        self.flush()
    }

    /// Whether nothing but header, refcounts and an empty L1 table has to stay.
    fn may_start_anew(&self, l1_clusters: u64) -> bool {
        let bitmaps_or_data_file = self.extensions.bitmaps.is_some()
            || self
                .header
                .incompatible
                .contains(IncompatibleFeatures::DATA_FILE);
        // The dirty bit guards the way, and one refcount block must hold everything.
        self.header.version >= 3
            && self.snapshots.is_empty()
            && !bitmaps_or_data_file
            && self.header.crypt_method != CryptMethod::Luks
            && 3 + l1_clusters <= self.geometry.refcount_block_entries()
    }

    /// Lays the image out like a new one. From the dirty bit on, a crash leaves an empty image whose refcounts a
    /// repair makes anew.
    fn start_anew(&mut self, l1_clusters: u64) -> Result<()> {
        self.file.debug_event(DebugEvent::EmptyImagePrepare);
        self.leave_caches()?;
        self.header.incompatible |= IncompatibleFeatures::DIRTY;
        self.write_incompatible_features()?;
        self.file.flush()?;
        let laid_out = self.lay_out_anew(l1_clusters);
        if laid_out.is_err() {
            // The dirty bit has to stay: nothing is written any more, by close least of all.
            self.dead = true;
            return laid_out;
        }
        if !self.lazy_refcounts {
            self.mark_clean()?;
        }
        Ok(())
    }

    fn lay_out_anew(&mut self, l1_clusters: u64) -> Result<()> {
        let cluster_size = self.geometry.cluster_size();
        self.l1.fill(L1Entry::EMPTY);
        self.write_whole_l1()?;
        self.file.flush()?;
        let table = HostOffset::new(cluster_size);
        let block = HostOffset::new(2 * cluster_size);
        let l1 = HostOffset::new(3 * cluster_size);
        let end = 3 + l1_clusters;
        // The old refcounts lie here too, usually.
        self.guard_write(HostOffset::ZERO, cluster_size, Area::Header)?;
        let tables_bytes = (end - 1) * cluster_size;
        self.file
            .write_zeroes(table, tables_bytes, ZeroFlags::empty())?;
        // Of a disk without a byte, too, though it has no table.
        self.header.l1_offset = l1;
        self.header.refcount_table_offset = table;
        self.header.refcount_table_clusters = 1;
        self.write_l1_and_refcount_table_places()?;
        self.file.flush()?;
        let mut counts = vec![0; self.geometry.cluster_bytes()];
        for index in 0..usize::try_from(end).map_err(|_| Error::bare(errno::EFBIG))? {
            refcount::write(&self.geometry, &mut counts, index, 1);
        }
        self.file.write_at(block, &counts)?;
        self.file.write_at(table, &block.bytes().to_be_bytes())?;
        self.file.flush()?;
        self.refcount_blocks.clear();
        let entries = self.geometry.table_entries_per_cluster();
        let entries = usize::try_from(entries).map_err(|_| Error::bare(errno::EFBIG))?;
        self.refcount_table = vec![0; entries];
        if let Some(first) = self.refcount_table.first_mut() {
            *first = block.bytes();
        }
        self.free_index = HostCluster::new(0);
        self.rebuild_overlap_index();
        self.file.resize(end * cluster_size, Preallocation::Off)
    }
}

#[cfg(test)]
mod tests;
