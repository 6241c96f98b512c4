//! Header, states and refcounts, as far as they can be read.

use super::State;
use crate::base::limits::{QCOW2_MAX_L1_BYTES, QCOW2_MAX_SNAPSHOT_TABLE_BYTES};
use crate::base::{Error, HostOffset, Result};
use crate::format::qcow2::extension::Extensions;
use crate::format::qcow2::header::{Header, HeaderError, IncompatibleFeatures, Tolerance};
use crate::format::qcow2::snapshot_table::{SnapshotTable, SnapshotTableError};
use crate::format::qcow2::{Geometry, HostCluster, refcount};
use crate::node::HostFile;

/// An image to be explained.
pub(super) struct Image<'a> {
    pub(super) file: &'a HostFile,
    pub(super) file_length: u64,
    pub(super) header: Header,
    pub(super) extensions: Extensions,
    pub(super) geometry: Geometry,
    pub(super) states: Vec<State>,
    pub(super) snapshot_table_bytes: u64,
    pub(super) refcount_table: Vec<u64>,
}

impl<'a> Image<'a> {
    /// Reads what an open with `check` reads; of a snapshot table that is broken, nothing.
    pub(super) fn load(file: &'a HostFile) -> Result<Self> {
        let start = file.read_vec(HostOffset::ZERO, 512)?;
        let first_cluster = file.read_vec(HostOffset::ZERO, Header::cluster_size_of(&start)?)?;
        let header = Header::parse(&first_cluster)?;
        header.validate_features(&first_cluster)?;
        header.validate_units()?;
        header.validate_tables(Tolerance { check: true })?;
        let has = |feature| header.incompatible.contains(feature);
        let extended = has(IncompatibleFeatures::EXTENDED_L2);
        let geometry = Geometry::new(header.cluster_bits, header.refcount_order, extended)
            .ok_or(HeaderError::RefcountOrder)?
            .with_external_data(has(IncompatibleFeatures::DATA_FILE));
        let (extensions, parsed) = Extensions::parse(&first_cluster, &header);
        parsed?;
        let table_bytes = u64::from(header.refcount_table_clusters) * geometry.cluster_size();
        let table_length = usize::try_from(table_bytes).map_err(|_| Error::eio())?;
        let refcount_table = numbers(&file.read_vec(header.refcount_table_offset, table_length)?);
        let mut image = Self {
            file_length: file.length()?,
            file,
            states: vec![State {
                name: "active disk".to_owned(),
                l1_offset: header.l1_offset.bytes(),
                l1_entries: header.l1_entries,
            }],
            header,
            extensions,
            geometry,
            snapshot_table_bytes: 0,
            refcount_table,
        };
        image.read_snapshots()?;
        Ok(image)
    }

    fn read_snapshots(&mut self) -> Result<()> {
        let count = self.header.snapshot_count;
        let mut length = 64 << 10;
        if count == 0 {
            return Ok(());
        }
        loop {
            let bytes = self.file.read_vec(self.header.snapshots_offset, length)?;
            match SnapshotTable::parse(&bytes, count, true) {
                Ok(table) => {
                    self.snapshot_table_bytes = table.bytes as u64;
                    self.states.extend(table.snapshots.iter().map(|snapshot| {
                        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                        State {
                            name: format!(
                                "snapshot {} ({})",
                                text(&snapshot.id),
                                text(&snapshot.name)
                            ),
                            l1_offset: snapshot.l1_offset.bytes(),
                            l1_entries: snapshot.l1_entries,
                        }
                    }));
                    return Ok(());
                }
                Err(SnapshotTableError::Need(more))
                    if more as u64 <= 2 * QCOW2_MAX_SNAPSHOT_TABLE_BYTES =>
                {
                    length = more.max(length * 2);
                }
                Err(_) => return Ok(()),
            }
        }
    }

    /// A state's L1 table; empty when it can't be one.
    pub(super) fn read_l1(&self, state: &State) -> Result<Vec<u64>> {
        let bytes = u64::from(state.l1_entries) * 8;
        let inside = self.file_length.saturating_sub(state.l1_offset);
        let aligned = state.l1_offset.is_multiple_of(self.geometry.cluster_size());
        if bytes > QCOW2_MAX_L1_BYTES || !aligned || inside == 0 {
            return Ok(Vec::new());
        }
        let length = usize::try_from(bytes).map_err(|_| Error::eio())?;
        let place = HostOffset::new(state.l1_offset);
        Ok(numbers(&self.file.read_vec(place, length)?))
    }

    /// The stored counts of all clusters from `first` on that one block covers; `None` when there is no block.
    pub(super) fn refcount_block(&self, index: u64) -> Result<Option<Vec<u8>>> {
        let entry = usize::try_from(index)
            .ok()
            .and_then(|index| self.refcount_table.get(index).copied())
            .unwrap_or(0);
        let place = HostOffset::new(entry & !0x1ff);
        let usable = place.bytes() != 0
            && place.is_aligned(self.geometry.cluster_size())
            && place.bytes() < self.file_length;
        if !usable {
            return Ok(None);
        }
        let bytes = self.geometry.cluster_bytes();
        self.file.read_vec(place, bytes).map(Some)
    }

    /// One cluster's count in its block.
    pub(super) fn count_in(&self, block: Option<&[u8]>, cluster: u64) -> u64 {
        let index = self
            .geometry
            .refcount_block_index(HostCluster::new(cluster));
        block
            .and_then(|block| refcount::read(&self.geometry, block, index))
            .unwrap_or(0)
    }
}

/// Big-endian numbers.
pub(super) fn numbers(bytes: &[u8]) -> Vec<u64> {
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().map(|word| u64::from_be_bytes(*word)).collect()
}
