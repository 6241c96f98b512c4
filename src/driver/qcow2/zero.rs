//! Making guest ranges read as zeros (qcow2 §11).

use super::discard::ClusterRange;
use super::image::Qcow2;
use super::metadata::FreeReason;
use super::write::Payload;
use crate::base::error::errno;
use crate::base::iv_sector::SECTOR_SIZE;
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
        let _request = self.request();
        if self.version() < 3 && flags.contains(ZeroFlags::NO_FALLBACK) {
            // Version 2 has no zero clusters; that some could be discarded instead does not count.
            return Err(Error::bare(errno::ENOTSUP));
        }
        self.mark_dirty(offset.bytes(), length);
        if self.encryption_method.is_none() {
            return self.zero_range(offset, offset.plus(length)?, flags);
        }
        // Parts of sectors are written like data, as the real tool does.
        let end = offset.plus(length)?;
        let sector = SECTOR_SIZE as u64;
        let first = end.min(offset.saturating_plus(sector - 1).align_down(sector));
        let last = first.max(end.align_down(sector));
        self.write_zero_bytes(offset, first.distance_from(offset), flags)?;
        if last > first {
            self.zero_range(first, last, flags)?;
        }
        self.write_zero_bytes(last, end.distance_from(last), flags)
    }

    fn zero_range(&self, offset: GuestOffset, end: GuestOffset, flags: ZeroFlags) -> Result<()> {
        let unit = self.geometry.subcluster_size();
        let first = offset.saturating_plus(unit - 1).align_down(unit);
        let at_end = end.bytes() >= self.size();
        let whole_end = if at_end {
            end.saturating_plus(unit - 1).align_down(unit)
        } else {
            end.align_down(unit)
        };
        let length = end.distance_from(offset);
        if whole_end <= first {
            return self.zero_part_of_run(offset, length, flags);
        }
        self.zero_part_of_run(offset, first.distance_from(offset), flags)?;
        if at_end {
            // As the real tools split a request: the end of the disk makes a whole of what is left of its last unit,
            // and of its last cluster only where one piece covers all of that.
            let split = end.align_down(unit).max(first);
            if first < split {
                self.zero_units(first, split, flags)?;
            }
            return if split < end {
                self.zero_units(split, end, flags)
            } else {
                Ok(())
            };
        }
        self.zero_units(first, whole_end, flags)?;
        self.zero_part_of_run(whole_end, end.distance_from(whole_end), flags)
    }

    /// Bytes that the disk just grew by. What they share a unit with is written, whatever it was.
    pub(super) fn zero_new_bytes(&self, offset: GuestOffset, length: u64) -> Result<()> {
        let unit = self.geometry.subcluster_size();
        let flags = ZeroFlags::empty();
        let end = offset.plus(length)?;
        self.mark_dirty(offset.bytes(), length);
        let first = offset.saturating_plus(unit - 1).align_down(unit).min(end);
        self.write_zero_bytes(offset, first.distance_from(offset), flags)?;
        if first == end {
            return Ok(());
        }
        self.zero_units(first, end, flags)
    }

    /// Whole clusters, or whole subclusters where there are some.
    fn zero_units(&self, first: GuestOffset, end: GuestOffset, flags: ZeroFlags) -> Result<()> {
        let cluster_size = self.geometry.cluster_size();
        let first_cluster = first
            .saturating_plus(cluster_size - 1)
            .align_down(cluster_size);
        let mut last_cluster = end.align_down(cluster_size);
        if end.bytes() == self.size() && last_cluster >= first {
            // The disk's last cluster is whole.
            last_cluster = end
                .saturating_plus(cluster_size - 1)
                .align_down(cluster_size);
        }
        let clusters = |first: GuestOffset, end: GuestOffset| ClusterRange {
            first,
            clusters: end.distance_from(first) / cluster_size,
        };
        if !self.geometry.extended_l2() {
            return self.zero_clusters(clusters(first, last_cluster), flags);
        }
        let zeroed = if last_cluster < first_cluster {
            self.zero_subclusters(first, end, flags)
        } else {
            self.zero_subclusters(first, first_cluster, flags)
                .and_then(|()| self.zero_clusters(clusters(first_cluster, last_cluster), flags))
                .and_then(|()| self.zero_subclusters(last_cluster, end.max(last_cluster), flags))
        };
        match zeroed {
            // Part of a compressed cluster: everything is written then.
            Err(error) if error.errno() == errno::ENOTSUP => {
                let end = GuestOffset::new(end.bytes().min(self.size()));
                self.write_zero_bytes(first, end.distance_from(first), flags)
            }
            outcome => outcome,
        }
    }

    /// Subclusters of one cluster, by its entry.
    fn zero_subclusters(
        &self,
        first: GuestOffset,
        end: GuestOffset,
        flags: ZeroFlags,
    ) -> Result<()> {
        if first == end {
            return Ok(());
        }
        let geometry = self.geometry;
        self.zero_raw_data(first, end.distance_from(first), flags)?;
        let start = geometry.subcluster_index(first);
        let count = end
            .distance_from(first)
            .div_ceil(geometry.subcluster_size());
        let range = start..start.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        let mut metadata = self.metadata()?;
        let table = metadata.writable_l2(first)?;
        let index = geometry.l2_index(first);
        let entry = metadata.l2_entry(table, index)?;
        if matches!(entry.cluster(&geometry), Cluster::Compressed(_)) {
            return Err(Error::bare(errno::ENOTSUP));
        }
        metadata.change_l2(table, index, 1, |_, old| {
            old.with_subclusters(old.subclusters().with_zeros(&range))
        })
    }

    /// What reads as zeros is zero in a raw data file, too.
    fn zero_raw_data(&self, first: GuestOffset, length: u64, flags: ZeroFlags) -> Result<()> {
        if !self.raw_data {
            return Ok(());
        }
        let length = length.min(self.size().saturating_sub(first.bytes()));
        let place = HostOffset::new(first.bytes());
        self.data.write_zeroes(place, length, flags)
    }

    /// Zeros less than a unit, or parts of two.
    fn zero_part_of_run(&self, offset: GuestOffset, length: u64, flags: ZeroFlags) -> Result<()> {
        let mut offset = offset;
        let mut left = length;
        while left > 0 {
            let unit = self.geometry.subcluster_size();
            let piece = left.min(unit - offset.within(unit));
            self.zero_part(offset, piece, flags)?;
            offset = offset.plus(piece)?;
            left -= piece;
        }
        Ok(())
    }

    /// Zeros part of one unit: all of it, when what is before and behind reads as zeros and nothing is stored.
    fn zero_part(&self, offset: GuestOffset, length: u64, flags: ZeroFlags) -> Result<()> {
        let unit = self.geometry.subcluster_size();
        let first = offset.align_down(unit);
        // Looking at what the rest reads as begins with the image's refcounts, once.
        self.asks_for_holes();
        let visible = self.size().saturating_sub(first.bytes()).min(unit);
        let found = self.metadata()?.lookup(first, unit);
        let Ok(run) = found else {
            // The write says what it thinks of a mapping that can't be used.
            return self.write_zero_bytes(offset, length, flags);
        };
        let whole_is_zero = match run.mapping {
            Mapping::Zero(_) => true,
            Mapping::Unallocated(_) => {
                let head = offset.distance_from(first);
                let behind = offset.plus(length)?;
                let tail = visible.saturating_sub(head + length);
                self.backing_reads_zero(first, head)? && self.backing_reads_zero(behind, tail)?
            }
            _ => false,
        };
        if whole_is_zero && (self.version() >= 3 || self.backing_node().is_none()) {
            return self.zero_units(first, first.plus(unit)?, flags);
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
        if range.clusters == 0 {
            return Ok(());
        }
        let bytes = range.clusters * cluster_size;
        self.zero_raw_data(range.first, bytes, flags)?;
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
                    Cluster::Normal(_) | Cluster::ZeroAllocated(_) if !unmap => {
                        old.with_zero(&geometry)
                    }
                    // With whatever a damaged image has beside the place.
                    Cluster::Unallocated | Cluster::ZeroPlain => old.with_zero(&geometry),
                    _ => L2Entry::zero_plain(&geometry),
                }
            })
        })
    }

    /// Real zeros.
    fn write_zero_bytes(&self, offset: GuestOffset, length: u64, flags: ZeroFlags) -> Result<()> {
        if length > 0 && flags.contains(ZeroFlags::NO_FALLBACK) {
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
