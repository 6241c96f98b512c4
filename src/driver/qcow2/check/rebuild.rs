//! New refcount blocks and a new table, from what was counted (qcow2 §13).

use std::collections::BTreeSet;

use crate::base::error::errno;
use crate::base::limits::QCOW2_MAX_REFCOUNT_TABLE_BYTES;
use crate::base::{Error, Result};
use crate::driver::qcow2::metadata::Metadata;
use crate::driver::qcow2::overlap::Area;
use crate::format::qcow2::check::FrozenCounts;
use crate::format::qcow2::{Geometry, HostCluster, refcount};

/// Where the new structures go: clusters that nothing references.
struct Plan<'a> {
    geometry: Geometry,
    counts: &'a FrozenCounts,
    /// Clusters taken for the new structures.
    taken: BTreeSet<u64>,
    /// The cluster of each block; 0 for none.
    blocks: Vec<u64>,
    /// First cluster and length of the table.
    table: (u64, u64),
    /// No cluster in here is free: a full image is not searched again for each block.
    full: std::ops::Range<u64>,
}

impl Plan<'_> {
    fn is_free(&self, cluster: u64) -> bool {
        self.counts.count(cluster) == 0 && !self.taken.contains(&cluster)
    }

    /// Takes the first run of `count` free clusters from `from` on.
    fn take(&mut self, from: u64, count: u64) -> u64 {
        let mut first = from;
        let mut length = 0;
        while length < count {
            if self.full.contains(&(first + length)) {
                first = self.full.end;
                length = 0;
            }
            if self.is_free(first + length) {
                length += 1;
            } else {
                first += length + 1;
                length = 0;
            }
        }
        self.taken.extend(first..first + count);
        if count == 1 {
            let known = self.full.contains(&from);
            self.full = if known { self.full.start } else { from }..first + 1;
        }
        first
    }

    /// Whether anything that a block would count is in use.
    fn is_needed(&self, index: u64) -> bool {
        let per_block = self.geometry.refcount_block_entries();
        let range = index * per_block..(index + 1) * per_block;
        self.taken.range(range.clone()).next().is_some() || self.counts.any_in_use(&range)
    }

    /// Blocks for all that is used, each in its own range if there is room, then the table; both need counts
    /// themselves, so this goes on until nothing is missing.
    fn settle(&mut self) -> Result<()> {
        let per_block = self.geometry.refcount_block_entries();
        loop {
            let end = self
                .taken
                .last()
                .map_or(0, |last| last + 1)
                .max(self.counts.clusters());
            if end.div_ceil(per_block) * 8 > QCOW2_MAX_REFCOUNT_TABLE_BYTES {
                return Err(Error::bare(errno::EFBIG));
            }
            let mut complete = true;
            for index in 0..end.div_ceil(per_block) {
                let at = usize::try_from(index).map_err(|_| Error::bare(errno::EFBIG))?;
                if self.blocks.len() <= at {
                    self.blocks.resize(at + 1, 0);
                }
                if self.blocks.get(at) == Some(&0) && self.is_needed(index) {
                    let block = self.take(index * per_block, 1);
                    if let Some(entry) = self.blocks.get_mut(at) {
                        *entry = block;
                    }
                    complete = false;
                }
            }
            let clusters =
                (self.blocks.len() as u64).div_ceil(self.geometry.table_entries_per_cluster());
            if clusters * self.geometry.cluster_size() > QCOW2_MAX_REFCOUNT_TABLE_BYTES {
                return Err(Error::bare(errno::EFBIG));
            }
            if complete && self.table.1 < clusters {
                for cluster in self.table.0..self.table.0 + self.table.1 {
                    self.taken.remove(&cluster);
                    self.full = 0..0;
                }
                self.table = (self.take(0, clusters), clusters);
                complete = false;
            }
            if complete {
                return Ok(());
            }
        }
    }

    fn block_bytes(&self, index: u64) -> Vec<u8> {
        let mut bytes = vec![0; self.geometry.cluster_bytes()];
        let per_block = self.geometry.refcount_block_entries();
        for at in 0..per_block {
            let cluster = index * per_block + at;
            let count = self.counts.count(cluster) + u64::from(self.taken.contains(&cluster));
            if count > 0
                && let Ok(at) = usize::try_from(at)
            {
                refcount::write(&self.geometry, &mut bytes, at, count);
            }
        }
        bytes
    }
}

impl Metadata {
    /// Writes new structures to unused clusters, then switches the header over.
    pub(super) fn rebuild_refcounts(&mut self, counts: &FrozenCounts) -> Result<()> {
        let failed = |error: Error| {
            let words = format!("ERROR writing refblock: {}", error.errno_text());
            Error::invalid(words).with_errno(error.errno())
        };
        if self.dead {
            return Err(failed(Error::eio()));
        }
        let geometry = self.geometry;
        let mut plan = Plan {
            geometry,
            counts,
            taken: BTreeSet::new(),
            blocks: Vec::new(),
            table: (0, 0),
            full: 0..0,
        };
        plan.settle()?;
        let offset = |cluster| geometry.host_offset(HostCluster::new(cluster));
        for (index, &block) in (0..).zip(&plan.blocks) {
            if block != 0 {
                self.guard_write(offset(block), geometry.cluster_size(), Area::Data)
                    .and_then(|()| self.file.write_at(offset(block), &plan.block_bytes(index)))
                    .map_err(failed)?;
            }
        }
        let (first, clusters) = plan.table;
        let bytes = usize::try_from(clusters * geometry.cluster_size())
            .map_err(|_| Error::bare(errno::EFBIG))?;
        let mut table: Vec<u64> = plan.blocks.iter().map(|&b| offset(b).bytes()).collect();
        table.resize(bytes / 8, 0);
        let encoded: Vec<u8> = table.iter().flat_map(|entry| entry.to_be_bytes()).collect();
        self.guard_write(offset(first), bytes as u64, Area::Data)?;
        self.file.write_at(offset(first), &encoded)?;
        self.file.flush()?;
        self.header.refcount_table_offset = offset(first);
        self.header.refcount_table_clusters =
            u32::try_from(clusters).map_err(|_| Error::bare(errno::EFBIG))?;
        self.write_refcount_table_place()?;
        self.file.flush()?;
        self.refcount_blocks.clear();
        self.refcount_table = table;
        self.free_index = HostCluster::new(0);
        self.rebuild_overlap_index();
        Ok(())
    }
}
