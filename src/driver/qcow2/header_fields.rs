//! Updates of single header fields, and of the whole first cluster (qcow2 §1).

use super::metadata::Metadata;
use crate::base::{HostOffset, Result};
use crate::format::qcow2::extension::encode_first_cluster;

/// Byte positions in the header.
const SIZE: u64 = 24;
const L1_ENTRIES: u64 = 36;
const REFCOUNT_TABLE: u64 = 48;
const SNAPSHOTS: u64 = 60;
const INCOMPATIBLE: u64 = 72;

impl Metadata {
    /// Writes `size`.
    pub(super) fn write_size(&mut self) -> Result<()> {
        self.file
            .write_at(HostOffset::new(SIZE), &self.header.size.to_be_bytes())
    }

    /// Writes `l1_size` and `l1_table_offset`.
    pub(super) fn write_l1_place(&mut self) -> Result<()> {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&self.header.l1_entries.to_be_bytes());
        bytes[4..].copy_from_slice(&self.header.l1_offset.bytes().to_be_bytes());
        self.file.write_at(HostOffset::new(L1_ENTRIES), &bytes)
    }

    /// Writes `refcount_table_offset` and `refcount_table_clusters`.
    pub(super) fn write_refcount_table_place(&mut self) -> Result<()> {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&self.header.refcount_table_offset.bytes().to_be_bytes());
        bytes[8..].copy_from_slice(&self.header.refcount_table_clusters.to_be_bytes());
        self.file.write_at(HostOffset::new(REFCOUNT_TABLE), &bytes)
    }

    /// Writes the places of the L1 table and the refcount table at once.
    pub(super) fn write_l1_and_refcount_table_places(&mut self) -> Result<()> {
        let header = &self.header;
        let mut bytes = [0; 24];
        bytes[..4].copy_from_slice(&header.l1_entries.to_be_bytes());
        bytes[4..12].copy_from_slice(&header.l1_offset.bytes().to_be_bytes());
        bytes[12..20].copy_from_slice(&header.refcount_table_offset.bytes().to_be_bytes());
        bytes[20..].copy_from_slice(&header.refcount_table_clusters.to_be_bytes());
        self.file.write_at(HostOffset::new(L1_ENTRIES), &bytes)
    }

    /// Writes `nb_snapshots` and `snapshots_offset`.
    pub(super) fn write_snapshots_place(&mut self) -> Result<()> {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&self.header.snapshot_count.to_be_bytes());
        bytes[4..].copy_from_slice(&self.header.snapshots_offset.bytes().to_be_bytes());
        self.file.write_at(HostOffset::new(SNAPSHOTS), &bytes)
    }

    /// Writes `incompatible_features`; version 2 has none.
    pub(super) fn write_incompatible_features(&mut self) -> Result<()> {
        if self.header.version < 3 {
            return Ok(());
        }
        self.file.write_at(
            HostOffset::new(INCOMPATIBLE),
            &self.header.incompatible.bits().to_be_bytes(),
        )
    }

    /// Writes the whole first cluster: header, extensions, backing file name.
    pub(super) fn rewrite_header(&mut self) -> Result<()> {
        let empty: Option<&[u8]> = self.empty_backing_name.then_some(&[]);
        let name = self.backing_name.as_deref().or(empty);
        let cluster = encode_first_cluster(&self.header, &self.extensions, name)?;
        self.file.write_at(HostOffset::ZERO, &cluster)
    }
}
