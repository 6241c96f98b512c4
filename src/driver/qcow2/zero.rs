//! Making guest ranges read as zeros (qcow2 §11).

use super::discard::ClusterRange;
use super::image::Qcow2;
use super::metadata::FreeReason;
use super::write::Payload;
use crate::base::error::errno;
use crate::base::{Error, GuestOffset, HostOffset, Result};
use crate::format::qcow2::lookup::Mapping;
use crate::format::qcow2::{Cluster, L2Entry};
use crate::node::ZeroFlags;
use crate::node::extent::extent_above;

impl Qcow2 {
    /// Writes zeros to the disk.
    pub(super) fn write_zeroes_disk(
        &self,
        offset: GuestOffset,
        length: u64,
        flags: ZeroFlags,
    ) -> Result<()> {
        self.check_range(offset, length)?;
        self.check_writable()?;
        self.mark_dirty(offset.bytes(), length);
        let cluster_size = self.geometry.cluster_size();
        let end = offset.plus(length)?;
        let whole = self.whole_clusters(offset, length);
        let whole_end = whole.first.saturating_plus(whole.clusters * cluster_size);
        if whole.clusters == 0 {
            return self.zero_part_of_run(offset, length, flags);
        }
        self.zero_part_of_run(offset, whole.first.distance_from(offset), flags)?;
        self.zero_clusters(whole, flags)?;
        let tail = end.distance_from(whole_end);
        self.zero_part_of_run(whole_end, tail, flags)
    }

    /// Zeros less than a cluster, or parts of two.
    fn zero_part_of_run(&self, offset: GuestOffset, length: u64, flags: ZeroFlags) -> Result<()> {
        let mut offset = offset;
        let mut left = length;
        while left > 0 {
            let in_cluster = self.geometry.in_cluster(offset);
            let piece = left.min(self.geometry.cluster_size() - in_cluster);
            self.zero_part(offset, piece, flags)?;
            offset = offset.plus(piece)?;
            left -= piece;
        }
        Ok(())
    }

    /// Zeros part of one cluster: all of it, when the rest reads as zeros and nothing is stored.
    fn zero_part(&self, offset: GuestOffset, length: u64, flags: ZeroFlags) -> Result<()> {
        let cluster_size = self.geometry.cluster_size();
        let first = offset.align_down(cluster_size);
        let visible = self.size().saturating_sub(first.bytes()).min(cluster_size);
        let run = self.metadata()?.lookup(first, cluster_size)?;
        let whole_is_zero = match run.mapping {
            Mapping::Zero(_) => true,
            Mapping::Unallocated => self.backing_reads_zero(first, visible)?,
            _ => false,
        };
        if whole_is_zero && (self.version() >= 3 || self.backing_node().is_none()) {
            return self.zero_clusters(ClusterRange { first, clusters: 1 }, flags);
        }
        self.write_zero_bytes(offset, length, flags)
    }

    fn backing_reads_zero(&self, offset: GuestOffset, length: u64) -> Result<bool> {
        let mut offset = offset;
        let mut left = self.backing_bytes(offset, length)?;
        let Some(backing) = self.backing_node() else {
            return Ok(true);
        };
        while left > 0 {
            let found = extent_above(&backing, None, offset, left)?.extent;
            if !found.zero || found.length == 0 {
                return Ok(false);
            }
            offset = offset.plus(found.length)?;
            left = left.saturating_sub(found.length);
        }
        Ok(true)
    }

    /// Whole clusters: by their entries where the version allows it.
    fn zero_clusters(&self, range: ClusterRange, flags: ZeroFlags) -> Result<()> {
        let cluster_size = self.geometry.cluster_size();
        let backed = self.backing_node().is_some();
        if self.version() < 3 && backed {
            let length = (range.clusters * cluster_size)
                .min(self.size().saturating_sub(range.first.bytes()));
            return self.write_zero_bytes(range.first, length, flags);
        }
        let _own = self
            .ranges
            .own(range.first, range.clusters * cluster_size, cluster_size);
        if self.raw_data {
            let length = (range.clusters * cluster_size)
                .min(self.size().saturating_sub(range.first.bytes()));
            let place = HostOffset::new(range.first.bytes());
            self.data.write_zeroes(place, length, flags)?;
        }
        let mut metadata = self.metadata()?;
        if self.version() < 3 {
            return metadata.discard_range(range, backed, FreeReason::Request);
        }
        let geometry = self.geometry;
        let unmap = flags.contains(ZeroFlags::MAY_UNMAP)
            && self.honours_discard
            && !metadata.discard_no_unref;
        metadata.for_each_table(range, |metadata, first, count| {
            metadata.replace_entries(first, count, FreeReason::Request, |old| {
                match old.cluster(&geometry) {
                    Cluster::Normal(_) | Cluster::ZeroAllocated(_) if !unmap => old.with_zero(),
                    _ => L2Entry::ZERO_PLAIN,
                }
            })
        })
    }

    /// Real zeros.
    fn write_zero_bytes(&self, offset: GuestOffset, length: u64, flags: ZeroFlags) -> Result<()> {
        if flags.contains(ZeroFlags::NO_FALLBACK) {
            return Err(Error::bare(errno::ENOTSUP));
        }
        let mut offset = offset;
        let mut left = length;
        let mut zeros = vec![0; usize::try_from(left.min(1 << 20)).unwrap_or(0)];
        while left > 0 {
            let piece = zeros.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let bytes = zeros.get_mut(..piece).unwrap_or_default();
            // Ciphering happens in place.
            bytes.fill(0);
            self.write_anywhere(offset, Payload::Scratch(bytes), None)?;
            offset = offset.plus(piece as u64)?;
            left -= piece as u64;
        }
        Ok(())
    }
}
