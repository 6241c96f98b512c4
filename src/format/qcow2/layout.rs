//! Where a new image's clusters go: the same places as the real tool's (qcow2 §8–10).

mod planner;

use std::ops::Range;

use super::{Geometry, L1Entry, L2Entry, l2_entry, refcount};
use crate::base::error::errno;
use crate::base::{Error, HostOffset, limits};
use planner::Planner;
pub use planner::StaleTable;

/// Guest bytes that one preallocating step asks for at most.
const STEP_BYTES: u64 = i32::MAX as u64;
/// Entries of an L2 table are looked at in slices of at most this many bytes; a run of data ends with a slice.
const SLICE_BYTES: u64 = 65_536;

/// Why there is no layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// A table would exceed what a reader accepts.
    #[error(
        "The image size is too large for file format 'qcow2' (try using a larger cluster size)"
    )]
    TooLarge,
}

impl From<LayoutError> for Error {
    fn from(error: LayoutError) -> Self {
        Self::caller(error.to_string())
            .with_errno(errno::EFBIG)
            .with_source(error)
    }
}

/// What is preallocated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reserve {
    /// Nothing.
    #[default]
    Nothing,
    /// Mapping tables.
    Metadata,
    /// Mapping tables, and the data as one run behind its refcount blocks.
    Data,
}

/// A new image's size and what is asked of its layout.
#[derive(Clone, Copy, Debug)]
pub struct LayoutRequest {
    /// Units.
    pub geometry: Geometry,
    /// Bytes of the disk.
    pub size: u64,
    /// Preallocation.
    pub reserve: Reserve,
    /// Bytes of the LUKS header area.
    pub crypto_bytes: Option<u64>,
}

/// Guest clusters that lie one behind the other in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataRun {
    /// First guest cluster.
    pub guest: u64,
    /// First cluster of the file.
    pub host: u64,
    /// How many.
    pub count: u64,
}

/// Where everything is. Positions are cluster numbers.
#[derive(Debug)]
pub struct Layout {
    geometry: Geometry,
    planner: Planner,
    /// L1 entries.
    pub l1_entries: u64,
    /// First cluster of the L1 table; 0 without one.
    pub l1: u64,
    /// The L2 tables by L1 index; empty when nothing is preallocated.
    pub l2: Vec<u64>,
    /// Preallocated data, in guest order.
    pub data: Vec<DataRun>,
    /// First cluster of the LUKS header.
    pub crypto: Option<u64>,
    /// Where the data of [`Reserve::Data`] is.
    pub reserved: Range<u64>,
    /// Bytes of the file.
    pub length: u64,
}

impl Layout {
    /// Plans an image.
    pub fn plan(request: &LayoutRequest) -> Result<Self, LayoutError> {
        let geometry = request.geometry;
        let l1_entries = geometry.l1_entries_for(request.size);
        if l1_entries > limits::QCOW2_MAX_L1_BYTES / 8 {
            return Err(LayoutError::TooLarge);
        }
        let mut layout = Self {
            geometry,
            planner: Planner::new(geometry),
            l1_entries,
            l1: 0,
            l2: Vec::new(),
            data: Vec::new(),
            crypto: None,
            reserved: 0..0,
            length: 3 * geometry.cluster_size(),
        };
        if l1_entries > 0 {
            let clusters = l1_entries.div_ceil(geometry.table_entries_per_cluster());
            layout.l1 = layout.planner.allocate(clusters)?;
            layout.written(layout.l1 * geometry.cluster_size() + l1_entries * 8);
        }
        match request.reserve {
            Reserve::Nothing => {}
            _ if geometry.external_data() => layout.map_data_file(request.size)?,
            Reserve::Metadata => layout.reserve_metadata(request.size)?,
            Reserve::Data => layout.reserve_data(geometry.clusters_for(request.size))?,
        }
        if let Some(bytes) = request.crypto_bytes {
            let clusters = bytes.div_ceil(geometry.cluster_size());
            let first = layout.planner.allocate(clusters)?;
            layout.crypto = Some(first);
            layout.written((first + clusters) * geometry.cluster_size());
        }
        layout.written(layout.planner.written_end * geometry.cluster_size());
        Ok(layout)
    }

    fn written(&mut self, end: u64) {
        self.length = self.length.max(end);
    }

    /// The L2 table of a guest cluster, allocated when it is not there yet.
    fn need_l2(&mut self, guest: u64) -> Result<(), LayoutError> {
        let index = guest >> self.geometry.l2_bits();
        while (self.l2.len() as u64) <= index {
            let table = self.planner.allocate(1)?;
            self.l2.push(table);
            self.written((table + 1) * self.geometry.cluster_size());
        }
        Ok(())
    }

    /// Tables and data in the order in which a writer would allocate them (qcow2 §8).
    fn reserve_metadata(&mut self, size: u64) -> Result<(), LayoutError> {
        let clusters = self.geometry.clusters_for(size);
        // The last cluster's last subclusters need no bytes in the file.
        let size = size.next_multiple_of(self.geometry.subcluster_size());
        let step = STEP_BYTES / self.geometry.cluster_size();
        let slice = {
            let entry = self.geometry.l2_entry_bytes() as u64;
            self.geometry.l2_entries().min(SLICE_BYTES / entry)
        };
        let mut guest = 0;
        while guest < clusters {
            let stop = (guest + step).min(clusters);
            let mut next = None;
            while guest < stop {
                self.need_l2(guest)?;
                let wanted = (slice - guest % slice).min(stop - guest);
                let (host, count) = match next {
                    None => (self.planner.allocate(wanted)?, wanted),
                    Some(host) => (host, self.planner.allocate_at(host, wanted)?),
                };
                if count == 0 {
                    break;
                }
                self.data.push(DataRun { guest, host, count });
                let covered = size - guest * self.geometry.cluster_size();
                let start = host * self.geometry.cluster_size();
                self.written(start + covered.min(count * self.geometry.cluster_size()));
                guest += count;
                next = Some(host + count);
            }
        }
        Ok(())
    }

    /// Tables only: each cluster has its place in the data file.
    fn map_data_file(&mut self, size: u64) -> Result<(), LayoutError> {
        let count = self.geometry.clusters_for(size);
        if count == 0 {
            return Ok(());
        }
        self.need_l2(count - 1)?;
        self.data.push(DataRun {
            guest: 0,
            host: 0,
            count,
        });
        Ok(())
    }

    /// A refcount area for everything at once, the data behind it, then the L2 tables (qcow2 §10).
    fn reserve_data(&mut self, clusters: u64) -> Result<(), LayoutError> {
        let start = self.length.div_ceil(self.geometry.cluster_size());
        let extra = clusters + self.l1_entries + 1;
        let host = self.planner.area(start, extra, true, None)?;
        if clusters == 0 {
            return Ok(());
        }
        let count = self.planner.allocate_at(host, clusters)?;
        self.reserved = host..host + count;
        self.written((host + count) * self.geometry.cluster_size());
        self.data.push(DataRun {
            guest: 0,
            host,
            count,
        });
        self.need_l2(clusters - 1)
    }

    /// Where the refcount table is, and its clusters.
    pub const fn refcount_table(&self) -> &Range<u64> {
        &self.planner.table
    }

    /// The clusters of the refcount blocks, by table index; 0 for none.
    pub fn refcount_blocks(&self) -> &[u64] {
        &self.planner.blocks
    }

    /// Refcount tables that were replaced while planning: their bytes are in the file.
    pub fn stale_tables(&self) -> &[StaleTable] {
        &self.planner.stale
    }

    /// A table of cluster positions as stored, for refcount tables.
    pub fn encode_clusters(&self, clusters: &[u64]) -> Vec<u8> {
        let offset = |&cluster: &u64| (cluster * self.geometry.cluster_size()).to_be_bytes();
        clusters.iter().flat_map(offset).collect()
    }

    /// The bytes of the refcount block at table index `index`.
    pub fn encode_refcount_block(&self, index: u64) -> Vec<u8> {
        let mut block = vec![0; self.geometry.cluster_bytes()];
        let per_block = self.geometry.refcount_block_entries();
        let covered = index * per_block..(index + 1) * per_block;
        for run in self.planner.used() {
            if run.start >= covered.end {
                break;
            }
            if run.end > covered.start {
                let first = run.start.max(covered.start) - covered.start;
                let end = run.end.min(covered.end) - covered.start;
                fill_ones(&self.geometry, &mut block, first..end);
            }
        }
        block
    }

    /// The bytes of the L1 table.
    pub fn encode_l1(&self) -> Vec<u8> {
        let mut entries = vec![L1Entry::EMPTY; usize::try_from(self.l1_entries).unwrap_or(0)];
        for (entry, &table) in entries.iter_mut().zip(&self.l2) {
            *entry = L1Entry::table(self.offset(table), true);
        }
        entries
            .iter()
            .flat_map(|entry| entry.raw().to_be_bytes())
            .collect()
    }

    /// Calls `emit` with each L2 table's cluster and bytes, in order.
    pub fn encode_l2_tables(
        &self,
        mut emit: impl FnMut(u64, &[u8]) -> crate::base::Result<()>,
    ) -> crate::base::Result<()> {
        let mut runs = self.data.iter().copied().peekable();
        let per_table = self.geometry.l2_entries();
        let mut bytes = vec![0; self.geometry.cluster_bytes()];
        for (index, &table) in self.l2.iter().enumerate() {
            bytes.fill(0);
            let mut at = 0;
            let end = (index as u64 + 1) * per_table;
            while let Some(run) = runs.peek_mut() {
                let count = run.count.min(end - run.guest);
                for step in 0..count {
                    let entry = L2Entry::data(self.offset(run.host + step));
                    l2_entry::write(&self.geometry, &mut bytes, at, entry);
                    at += 1;
                }
                run.guest += count;
                run.host += count;
                run.count -= count;
                if run.count > 0 {
                    break;
                }
                runs.next();
                if runs.peek().is_some_and(|next| next.guest >= end) {
                    break;
                }
            }
            emit(table, &bytes)?;
        }
        Ok(())
    }

    /// Where a cluster begins.
    pub const fn offset(&self, cluster: u64) -> HostOffset {
        self.geometry.host_offset(super::HostCluster::new(cluster))
    }
}

/// Sets a run of counts to one.
fn fill_ones(geometry: &Geometry, block: &mut [u8], run: Range<u64>) {
    let order = geometry.refcount_order();
    let Ok(mut index) = usize::try_from(run.start) else {
        return;
    };
    let end = usize::try_from(run.end).unwrap_or(usize::MAX);
    // Whole bytes (or whole counts) at once: a preallocated image has hundreds of full blocks.
    let unit = if order < 3 { 8_usize >> order } else { 1 };
    let mut pattern = vec![0; 1 << order.saturating_sub(3)];
    for position in 0..unit {
        refcount::write(geometry, &mut pattern, position, 1);
    }
    while index < end {
        if index % unit != 0 || end - index < unit {
            refcount::write(geometry, block, index, 1);
            index += 1;
            continue;
        }
        let units = (end - index) / unit;
        let start = index / unit * pattern.len();
        if let Some(bytes) = block.get_mut(start..start + units * pattern.len()) {
            for chunk in bytes.chunks_exact_mut(pattern.len()) {
                chunk.copy_from_slice(&pattern);
            }
        }
        index += units * unit;
    }
}
