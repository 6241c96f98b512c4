//! Reserving space for a new part of the disk (qcow2 §9, §14).

use super::create::grow_data_file;
use super::discard::ClusterRange;
use super::image::Qcow2;
use super::metadata::{FreeReason, Metadata};
use super::plan::{Covered, MappingChange, Surroundings};
use super::write::Payload;
use crate::base::{Error, GuestOffset, HostOffset, Result};
use crate::format::qcow2::Cluster;
use crate::node::{Preallocation, ZeroFlags};

/// How a disk grows.
pub(super) struct Growth {
    pub(super) old: u64,
    pub(super) new: u64,
    pub(super) how: Preallocation,
    /// What the last cluster holds, when the old disk ends inside of one: reserving clusters may move it.
    pub(super) kept: Vec<u8>,
    /// A longer backing file must not show through.
    pub(super) hides: bool,
}

impl Growth {
    /// Nothing is reserved.
    pub(super) const fn without_preallocation(old: u64, new: u64) -> Self {
        Self {
            old,
            new,
            how: Preallocation::Off,
            kept: Vec::new(),
            hides: false,
        }
    }
}

impl Qcow2 {
    /// The content of the disk's last cluster when the disk ends inside of it and clusters are about to be reserved.
    pub(super) fn last_cluster(&self, new: u64, how: Preallocation) -> Result<Vec<u8>> {
        let end = GuestOffset::new(self.size());
        let reserves = how != Preallocation::Off || self.raw_data;
        let length = if new > self.size() && reserves {
            self.geometry.in_cluster(end)
        } else {
            0
        };
        // Less than a cluster, 2 MiB.
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.read_held(end.align_down(self.geometry.cluster_size()), &mut bytes)?;
        Ok(bytes)
    }

    /// Reserves space for the new part of the disk, which holds nothing yet.
    pub(super) fn preallocate_growth(
        &self,
        metadata: &mut Metadata,
        growth: &Growth,
    ) -> Result<()> {
        if self.geometry.external_data() {
            if growth.how == Preallocation::Off && !self.raw_data {
                // As long as the disk from now on, even where it was longer.
                return self.data.resize(growth.new, Preallocation::Off);
            }
            let end = self.reserve_clusters(metadata, growth)?;
            // The tail of a last cluster that had its place before stays as it is.
            let mapped = end >= growth.new;
            return grow_data_file(&self.data, growth.new, &self.geometry, mapped, growth.how);
        }
        match growth.how {
            Preallocation::Off => Ok(()),
            Preallocation::Metadata => {
                let end = match self.reserve_clusters(metadata, growth) {
                    Ok(end) => end,
                    Err(error) => {
                        self.give_back(metadata, growth);
                        return Err(error.prefixed("Allocating clusters failed: "));
                    }
                };
                if end > self.file.length()?
                    && let Err(error) = self.file.resize(end, Preallocation::Off)
                {
                    self.give_back(metadata, growth);
                    return Err(error);
                }
                Ok(())
            }
            Preallocation::Falloc | Preallocation::Full => self.reserve_run(metadata, growth),
        }
    }

    /// Unmaps what a growth that did not fit has mapped: whole clusters of the new part, which hold nothing. (The real
    /// tool leaves them mapped to places behind the file's end, and its `check` calls the image corrupt.)
    fn give_back(&self, metadata: &mut Metadata, growth: &Growth) {
        let unit = self.geometry.cluster_size();
        let first = growth.old.next_multiple_of(unit);
        let range = ClusterRange {
            first: GuestOffset::new(first),
            clusters: growth.new.saturating_sub(first).div_ceil(unit),
        };
        // Where that fails too, clusters leak. The first error is the one to tell.
        let _ = metadata
            .unmap_range(range, FreeReason::Never)
            .and_then(|()| metadata.flush_all());
    }

    /// Maps every cluster of the new part that has no place, without writing data; gives where the last one ends.
    fn reserve_clusters(&self, metadata: &mut Metadata, growth: &Growth) -> Result<u64> {
        let unit = self.geometry.subcluster_size();
        let mut offset = GuestOffset::new(growth.old);
        let mut file_end = 0;
        while offset.bytes() < growth.new {
            let left = growth.new - offset.bytes();
            let plan = metadata.prepare_write(offset, left, None)?;
            if let Some(change) = plan.change {
                self.forget_stale_bytes(&change)?;
                self.write_tail(&change, growth)?;
                self.commit_reserved(metadata, change, growth)?;
                let end = plan.host.plus(plan.length)?.bytes();
                file_end = end.next_multiple_of(unit).max(file_end);
            }
            offset = offset.plus(plan.length)?;
        }
        Ok(file_end)
    }

    /// What freed clusters left in the file must not show once they are mapped; the real tool lets it. Subclusters
    /// are not mapped yet, and nothing is free in a data file.
    fn forget_stale_bytes(&self, change: &MappingChange) -> Result<()> {
        let geometry = &self.geometry;
        if !change.allocated || geometry.extended_l2() || geometry.external_data() {
            return Ok(());
        }
        let end = change
            .host
            .plus(change.clusters * geometry.cluster_size())?;
        let stale = self.file.length()?.min(end.bytes());
        let length = stale.saturating_sub(change.host.bytes());
        if length == 0 {
            return Ok(());
        }
        self.file
            .write_zeroes(change.host, length, ZeroFlags::empty())
    }

    /// What the last cluster has behind the new end is written, as the real tool does; the rest of it is not.
    fn write_tail(&self, change: &MappingChange, growth: &Growth) -> Result<()> {
        let geometry = &self.geometry;
        let inside = growth.new.saturating_sub(change.first.bytes());
        let all = change.clusters * geometry.cluster_size();
        if geometry.extended_l2() || geometry.external_data() || !change.allocated || inside >= all
        {
            return Ok(());
        }
        // Less than a cluster, 2 MiB.
        let mut zeros = vec![0; usize::try_from(all - inside).unwrap_or(0)];
        let (guest, host) = (change.first.plus(inside)?, change.host.plus(inside)?);
        self.store(guest, host, Payload::Scratch(&mut zeros))
    }

    /// Maps reserved clusters. Their subclusters stay what they are, unless zeros have to hide a backing file; what the last cluster of the old disk holds comes
    /// along when it gets a new place.
    fn commit_reserved(
        &self,
        metadata: &mut Metadata,
        change: MappingChange,
        growth: &Growth,
    ) -> Result<()> {
        let geometry = &self.geometry;
        let runs = matches!(growth.how, Preallocation::Falloc | Preallocation::Full);
        let mut change = MappingChange {
            holds_data: growth.hides && runs && !geometry.external_data(),
            ..change
        };
        let old_end = GuestOffset::new(growth.old);
        let moves = change.allocated || !geometry.extended_l2();
        if change.first >= old_end || !moves {
            return metadata.commit_write(&change, false);
        }
        let stored = self.keep_last_cluster(metadata, &mut change, growth);
        if let Err(error) = stored {
            metadata.abandon_write(&change);
            return Err(error);
        }
        metadata.commit_write(&change, true)
    }

    /// Writes what the last cluster of the old disk holds to its new place, zeros behind it.
    fn keep_last_cluster(
        &self,
        metadata: &mut Metadata,
        change: &mut MappingChange,
        growth: &Growth,
    ) -> Result<()> {
        let geometry = &self.geometry;
        let table = metadata.writable_l2(change.first)?;
        let entry = metadata.l2_entry(table, geometry.l2_index(change.first))?;
        let mut bytes = growth.kept.clone();
        if geometry.extended_l2() {
            let unit = usize::try_from(geometry.subcluster_size()).unwrap_or(1);
            bytes.resize(bytes.len().next_multiple_of(unit), 0);
        }
        if geometry.extended_l2() && matches!(entry.cluster(geometry), Cluster::Compressed(_)) {
            // The real tool gives the cluster no subclusters, and its content is lost.
            change.holds_data = true;
            change.covered = Covered {
                from: change.first,
                to: change.first.plus(bytes.len() as u64)?,
            };
        }
        self.store(change.first, change.host, Payload::Scratch(&mut bytes))
    }

    /// One run of clusters behind the file's end, counted by a refcount area of its own in front of it.
    fn reserve_run(&self, metadata: &mut Metadata, growth: &Growth) -> Result<()> {
        let geometry = self.geometry;
        let cluster_size = geometry.cluster_size();
        let first_guest = GuestOffset::new(growth.old).align_down(cluster_size);
        let clusters = geometry.clusters_for(growth.new.saturating_sub(first_guest.bytes()));
        // The refcount table moves even when there is nothing to map.
        let tables = clusters.div_ceil(geometry.l2_entries()) + 1;
        metadata.flush()?;
        let used_end = metadata.last_used_cluster(u64::MAX)?.step(1);
        let start = metadata.build_refcount_area(used_end, clusters + tables, true, None)?;
        metadata.raise_refcounts(start, clusters)?;
        let host = geometry.host_offset(start);
        if let Err(error) = metadata.reserve(host, clusters * cluster_size, growth.how) {
            metadata.free_clusters(start, clusters, FreeReason::Never);
            metadata.flush_all()?;
            return Err(error);
        }
        self.map_run(metadata, (first_guest, host, clusters), growth)
    }

    /// Maps guest clusters to a run that is counted already.
    fn map_run(
        &self,
        metadata: &mut Metadata,
        (first, host, clusters): (GuestOffset, HostOffset, u64),
        growth: &Growth,
    ) -> Result<()> {
        let geometry = self.geometry;
        let mut done = 0;
        while done < clusters {
            let guest = first.plus(done * geometry.cluster_size())?;
            let in_table = geometry.l2_entries() - geometry.l2_index(guest) as u64;
            let count = in_table.min(clusters - done);
            let change = MappingChange {
                first: guest,
                host: host.plus(done * geometry.cluster_size())?,
                clusters: count,
                allocated: true,
                covered: Covered {
                    from: guest,
                    to: guest.plus(count * geometry.cluster_size())?,
                },
                holds_data: false,
                head: Surroundings::Zero,
                tail: Surroundings::Zero,
            };
            self.commit_reserved(metadata, change, growth)?;
            done += count;
        }
        Ok(())
    }
}

impl Metadata {
    /// Makes the file longer, so that it has these clusters, and reserves them or really writes them. What the file
    /// has there already is what freed clusters left: it becomes zeros.
    fn reserve(&self, host: HostOffset, bytes: u64, how: Preallocation) -> Result<()> {
        let end = host.plus(bytes)?.bytes();
        let length = self.file.length()?;
        let resize = |to, how| {
            let refused = |error: Error| error.prefixed("Failed to resize underlying file: ");
            self.file.resize(to, how).map_err(refused)
        };
        if length < host.bytes() {
            resize(host.bytes(), Preallocation::Off)?;
        } else {
            let stale = length.min(end) - host.bytes();
            self.file.write_zeroes(host, stale, ZeroFlags::empty())?;
        }
        if length < end {
            resize(end, how)?;
        }
        Ok(())
    }
}
