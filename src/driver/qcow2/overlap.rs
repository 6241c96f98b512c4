//! Writes that would destroy metadata are refused (qcow2 §12).

use std::collections::BTreeSet;
use std::fmt;

use bitflags::bitflags;

use super::metadata::Metadata;
use super::refcounts::TABLE_OFFSET_MASK;
use super::tables::TableKind;
use crate::base::{HostOffset, Result};
use crate::format::qcow2::HostCluster;

bitflags! {
    /// Which metadata is protected.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct OverlapChecks: u16 {
        /// The header cluster.
        const HEADER = 1;
        /// The active L1 table.
        const ACTIVE_L1 = 1 << 1;
        /// Active L2 tables.
        const ACTIVE_L2 = 1 << 2;
        /// The refcount table.
        const REFCOUNT_TABLE = 1 << 3;
        /// Refcount blocks.
        const REFCOUNT_BLOCK = 1 << 4;
        /// The snapshot table.
        const SNAPSHOT_TABLE = 1 << 5;
        /// Snapshots' L1 tables.
        const INACTIVE_L1 = 1 << 6;
        /// Snapshots' L2 tables.
        const INACTIVE_L2 = 1 << 7;
        /// The bitmap directory.
        const BITMAP_DIRECTORY = 1 << 8;

        /// `overlap-check=constant`
        const CONSTANT = Self::HEADER.bits() | Self::ACTIVE_L1.bits() | Self::REFCOUNT_TABLE.bits()
            | Self::SNAPSHOT_TABLE.bits() | Self::BITMAP_DIRECTORY.bits();
        /// `overlap-check=cached`, the default.
        const CACHED = Self::CONSTANT.bits() | Self::ACTIVE_L2.bits() | Self::REFCOUNT_BLOCK.bits()
            | Self::INACTIVE_L1.bits();
        /// `overlap-check=all`
        const ALL = Self::CACHED.bits() | Self::INACTIVE_L2.bits();
    }
}

impl OverlapChecks {
    /// What `overlap-check.NAME` is about; nothing under another name.
    pub fn by_part(name: &str) -> Self {
        match name {
            "main-header" => Self::HEADER,
            "active-l1" => Self::ACTIVE_L1,
            "active-l2" => Self::ACTIVE_L2,
            "refcount-table" => Self::REFCOUNT_TABLE,
            "refcount-block" => Self::REFCOUNT_BLOCK,
            "snapshot-table" => Self::SNAPSHOT_TABLE,
            "inactive-l1" => Self::INACTIVE_L1,
            "inactive-l2" => Self::INACTIVE_L2,
            "bitmap-directory" => Self::BITMAP_DIRECTORY,
            _ => Self::empty(),
        }
    }
}

impl Default for OverlapChecks {
    fn default() -> Self {
        Self::CACHED
    }
}

/// What a write is about: it may overlap its own kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Area {
    Data,
    Header,
    ActiveL1,
    ActiveL2,
    RefcountTable,
    RefcountBlock,
    SnapshotTable,
    InactiveL1,
    BitmapDirectory,
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Data => "data",
            Self::Header => "qcow2_header",
            Self::ActiveL1 => "active L1 table",
            Self::ActiveL2 => "active L2 table",
            Self::RefcountTable => "refcount table",
            Self::RefcountBlock => "refcount block",
            Self::SnapshotTable => "snapshot table",
            Self::InactiveL1 => "inactive L1 table",
            Self::BitmapDirectory => "bitmap directory",
        })
    }
}

/// Whether a run of clusters touches one of a set.
fn touches(set: &BTreeSet<HostCluster>, first: HostCluster, last: HostCluster) -> bool {
    set.range(first..=last).next().is_some()
}

impl Metadata {
    /// Rebuilds what the checks look clusters up in, after tables were replaced.
    pub(super) fn rebuild_overlap_index(&mut self) {
        let geometry = self.geometry;
        self.active_l2_clusters = self
            .l1
            .iter()
            .filter_map(|entry| entry.l2_table())
            .map(|table| geometry.host_cluster(table))
            .collect();
        self.refcount_block_clusters = self
            .refcount_table
            .iter()
            .filter(|entry| **entry & TABLE_OFFSET_MASK != 0)
            .map(|entry| geometry.host_cluster(HostOffset::new(entry & TABLE_OFFSET_MASK)))
            .collect();
    }

    /// Refuses a write of `length` bytes that would hit metadata other than `own`; marks the image corrupt.
    pub(super) fn guard_write(&mut self, offset: HostOffset, length: u64, own: Area) -> Result<()> {
        match self.overlapped(offset, length, own) {
            None => Ok(()),
            Some(area) => Err(self.mark_corrupt(&format!(
                "Preventing invalid write on metadata (overlaps with {area})"
            ))),
        }
    }

    /// The same for a whole cached table.
    pub(super) fn guard_table_write(&mut self, kind: TableKind, offset: HostOffset) -> Result<()> {
        let own = match kind {
            TableKind::L2 => Area::ActiveL2,
            TableKind::RefcountBlock => Area::RefcountBlock,
        };
        self.guard_write(offset, self.geometry.cluster_size(), own)
    }

    fn overlapped(&self, offset: HostOffset, length: u64, own: Area) -> Option<Area> {
        if length == 0 {
            return None;
        }
        let checks = self.overlap_checks;
        let first = self.geometry.host_cluster(offset);
        let last = self
            .geometry
            .host_cluster(offset.saturating_plus(length - 1));
        let inside = |start: HostOffset, bytes: u64| {
            bytes > 0
                && self.geometry.host_cluster(start) <= last
                && self.geometry.host_cluster(start.saturating_plus(bytes - 1)) >= first
        };
        let hit = |check: OverlapChecks, area: Area, found: &dyn Fn() -> bool| {
            (own != area && checks.contains(check) && found()).then_some(area)
        };
        let header = &self.header;
        hit(OverlapChecks::HEADER, Area::Header, &|| first.index() == 0)
            .or_else(|| {
                hit(OverlapChecks::ACTIVE_L1, Area::ActiveL1, &|| {
                    inside(header.l1_offset, self.l1.len() as u64 * 8)
                })
            })
            .or_else(|| {
                hit(OverlapChecks::ACTIVE_L2, Area::ActiveL2, &|| {
                    touches(&self.active_l2_clusters, first, last)
                })
            })
            .or_else(|| {
                hit(OverlapChecks::REFCOUNT_TABLE, Area::RefcountTable, &|| {
                    // Not what is in memory: while a larger one is made, the old one is still in its place.
                    let clusters = u64::from(header.refcount_table_clusters);
                    let length = clusters.saturating_mul(self.geometry.cluster_size());
                    inside(header.refcount_table_offset, length)
                })
            })
            .or_else(|| {
                hit(OverlapChecks::REFCOUNT_BLOCK, Area::RefcountBlock, &|| {
                    touches(&self.refcount_block_clusters, first, last)
                })
            })
            .or_else(|| {
                hit(OverlapChecks::SNAPSHOT_TABLE, Area::SnapshotTable, &|| {
                    inside(header.snapshots_offset, self.snapshot_table_bytes)
                })
            })
            .or_else(|| {
                hit(OverlapChecks::INACTIVE_L1, Area::InactiveL1, &|| {
                    self.inactive_l1
                        .iter()
                        .any(|(start, bytes)| inside(*start, *bytes))
                })
            })
            .or_else(|| {
                let place = self.extensions.bitmaps?;
                let found = || inside(place.directory_offset, place.directory_bytes);
                let check = OverlapChecks::BITMAP_DIRECTORY;
                hit(check, Area::BitmapDirectory, &found)
            })
    }
}
