//! Reserving space for a new part of the disk (qcow2 §9, §14).

use super::create::grow_data_file;
use super::metadata::Metadata;
use super::plan::{MappingChange, Surroundings};
use crate::base::error::errno;
use crate::base::{Error, GuestOffset, HostOffset, Result};
use crate::format::qcow2::HostCluster;
use crate::node::{Preallocation, ZeroFlags};

impl Metadata {
    /// Reserves space for the guest range from `old` to `new`, which holds nothing yet.
    pub(super) fn preallocate_growth(
        &mut self,
        old: u64,
        new: u64,
        how: Preallocation,
    ) -> Result<()> {
        if self.data_file.is_some() {
            return self.grow_data_file(old, new, how);
        }
        match how {
            Preallocation::Off => Ok(()),
            Preallocation::Metadata => self.preallocate_metadata(old, new),
            Preallocation::Falloc | Preallocation::Full => self.preallocate_data(old, new, how),
        }
    }

    /// The data file holds the space; only the mapping is made here. A raw one is always mapped.
    fn grow_data_file(&mut self, old: u64, new: u64, how: Preallocation) -> Result<()> {
        let mapped = how != Preallocation::Off || self.has_raw_data();
        if mapped {
            let mut offset = GuestOffset::new(old);
            while offset.bytes() < new {
                let plan = self.prepare_write(offset, new - offset.bytes(), None)?;
                if let Some(change) = &plan.change {
                    self.commit_write(change, false)?;
                }
                offset = offset.plus(plan.length)?;
            }
        }
        match &self.data_file {
            Some(data) => grow_data_file(data, new, &self.geometry, mapped, how),
            None => Ok(()),
        }
    }

    /// Maps every cluster of a range that has none, without writing data.
    fn preallocate_metadata(&mut self, old: u64, new: u64) -> Result<()> {
        let cluster_size = self.geometry.cluster_size();
        let mut offset = GuestOffset::new(old);
        let mut file_end = self.file.length()?;
        while offset.bytes() < new {
            let plan = self.prepare_write(offset, new - offset.bytes(), None)?;
            if let Some(change) = &plan.change {
                self.commit_write(change, false)?;
                let end = change.host.plus(change.clusters * cluster_size)?;
                file_end = file_end.max(end.bytes());
            }
            offset = offset.plus(plan.length)?;
        }
        if file_end > self.file.length()? {
            self.file.resize(file_end, Preallocation::Off)?;
        }
        Ok(())
    }

    /// One run of clusters behind the file's end, counted by a refcount area of its own in front of it.
    fn preallocate_data(&mut self, old: u64, new: u64, how: Preallocation) -> Result<()> {
        let geometry = self.geometry;
        let cluster_size = geometry.cluster_size();
        let first_guest = old.next_multiple_of(cluster_size);
        let clusters = geometry.clusters_for(new.saturating_sub(first_guest));
        if clusters == 0 {
            return Ok(());
        }
        let tables = clusters.div_ceil(geometry.l2_entries()) + 1;
        let file_end = HostCluster::new(self.file.length()?.div_ceil(cluster_size));
        self.flush()?;
        let start = self.build_refcount_area(file_end, clusters + tables, true, None)?;
        self.raise_refcounts(start, clusters)?;
        let host = geometry.host_offset(start);
        self.reserve(host, clusters * cluster_size, how)?;
        self.map_run(GuestOffset::new(first_guest), host, clusters)
    }

    /// Maps guest clusters that hold nothing to a run that is counted already.
    fn map_run(&mut self, first: GuestOffset, host: HostOffset, clusters: u64) -> Result<()> {
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
                head: Surroundings::Zero,
                tail: Surroundings::Zero,
            };
            self.commit_write(&change, false)?;
            done += count;
        }
        Ok(())
    }

    /// Reserves, or really writes, clusters of the file.
    fn reserve(&self, host: HostOffset, bytes: u64, how: Preallocation) -> Result<()> {
        if how == Preallocation::Falloc {
            return self.file.write_zeroes(host, bytes, ZeroFlags::empty());
        }
        let zeros = vec![0; 1 << 20];
        let mut done = 0;
        while done < bytes {
            let piece = (bytes - done).min(zeros.len() as u64);
            let length = usize::try_from(piece).map_err(|_| Error::bare(errno::EFBIG))?;
            self.file.write_at(host.plus(done)?, &zeros[..length])?;
            done += piece;
        }
        Ok(())
    }
}
