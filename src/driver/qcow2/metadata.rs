//! Everything about an image that its tables and header say, behind one lock.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::in_flight::InFlight;
use super::overlap::OverlapChecks;
use super::tables::{TableCache, TableKind};
use crate::base::error::errno;
use crate::base::{Error, GuestOffset, HostOffset, Result};
use crate::format::qcow2::extension::Extensions;
use crate::format::qcow2::header::{
    AutoclearFeatures, CompatibleFeatures, Header, IncompatibleFeatures,
};
use crate::format::qcow2::lookup::{Corruption, Lookup, Run, Tables, lookup};
use crate::format::qcow2::snapshot_table::Snapshot;
use crate::format::qcow2::{Geometry, HostCluster, L1Entry, l2_entry};
use crate::node::{HostFile, Notices};

/// Which freed clusters are punched out of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiscardPolicy {
    /// Clusters that a guest discard or zero write freed (`pass-discard-request`).
    pub request: bool,
    /// Clusters that only a deleted or replaced snapshot used (`pass-discard-snapshot`).
    pub snapshot: bool,
    /// All others (`pass-discard-other`).
    pub other: bool,
}

impl Default for DiscardPolicy {
    fn default() -> Self {
        Self {
            request: false,
            snapshot: true,
            other: false,
        }
    }
}

impl DiscardPolicy {
    /// Whether what is freed for that reason is punched.
    pub(super) const fn punches(self, reason: FreeReason) -> bool {
        match reason {
            FreeReason::Request => self.request,
            FreeReason::Snapshot => self.snapshot,
            FreeReason::Other => self.other,
            FreeReason::Always => true,
            FreeReason::Never => false,
        }
    }
}

/// Why a cluster is freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreeReason {
    /// A guest's discard or zero write.
    Request,
    /// A snapshot operation.
    Snapshot,
    /// Replaced by a newer place.
    Other,
    /// Always punched, whatever the options say: a bitmap's data.
    Always,
    /// Never punched: the cluster's content was not written, or is about to be.
    Never,
}

/// Tables, header and allocator state. Data I/O happens without it being locked.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches and facts"
)]
pub struct Metadata {
    pub(super) file: HostFile,
    /// The file that holds the guest clusters, when it is not `file`.
    pub(super) data_file: Option<HostFile>,
    pub(super) geometry: Geometry,
    pub(super) header: Header,
    pub(super) extensions: Extensions,
    /// The backing file's name in the header.
    pub(super) backing_name: Option<Vec<u8>>,
    /// The header gives a place to a name without a byte: it keeps one.
    pub(super) empty_backing_name: bool,
    /// Bytes of the disk, a multiple of 512.
    pub(super) size: u64,
    pub(super) l1: Vec<L1Entry>,
    pub(super) refcount_table: Vec<u64>,
    pub(super) l2_tables: TableCache,
    pub(super) refcount_blocks: TableCache,
    /// Where the next search for free clusters begins (qcow2 §8).
    pub(super) free_index: HostCluster,
    /// Freed since the last flush: reused only after one, or a crash could show new data at the old place.
    pub(super) freed: HashSet<HostCluster>,
    /// Punched after the next flush.
    pub(super) discards: Vec<(HostOffset, u64)>,
    /// The same in the data file.
    pub(super) data_discards: Vec<(HostOffset, u64)>,
    /// The byte behind the last compressed cluster of this session.
    pub(super) compressed_end: Option<HostOffset>,
    pub(super) discard_policy: DiscardPolicy,
    pub(super) discard_no_unref: bool,
    pub(super) lazy_refcounts: bool,
    pub(super) writable: bool,
    pub(super) notices: Notices,
    pub(super) overlap_checks: OverlapChecks,
    /// Clusters that hold active L2 tables and refcount blocks: what overlap checks look up.
    pub(super) active_l2_clusters: BTreeSet<HostCluster>,
    pub(super) refcount_block_clusters: BTreeSet<HostCluster>,
    /// Where snapshots' L1 tables lie, with their bytes.
    pub(super) inactive_l1: Vec<(HostOffset, u64)>,
    /// The snapshot table's entries.
    pub(super) snapshots: Vec<Snapshot>,
    /// The snapshot table's bytes.
    pub(super) snapshot_table_bytes: u64,
    /// Requests whose I/O happens without this being locked.
    pub(super) in_flight: Arc<InFlight>,
    /// Counts how often clusters were freed: what was read from one before may be gone.
    pub(super) freed_generation: u64,
    /// A corruption was reported: later ones are silent.
    pub(super) corruption_reported: bool,
    /// The image was marked corrupt: nothing works any more.
    pub(super) dead: bool,
}

impl Tables for Metadata {
    fn l1_entry(&self, index: u64) -> L1Entry {
        usize::try_from(index)
            .ok()
            .and_then(|index| self.l1.get(index).copied())
            .unwrap_or(L1Entry::EMPTY)
    }

    fn l2_table(&self, offset: HostOffset) -> Option<&[u8]> {
        self.l2_tables.peek(offset)
    }
}

impl Metadata {
    /// What lies at a guest offset; loads the L2 table it needs.
    pub(super) fn lookup(&mut self, offset: GuestOffset, length: u64) -> Result<Run> {
        loop {
            match lookup(&self.geometry, self.header.version, self, offset, length) {
                Lookup::Run(run) => return Ok(run),
                Lookup::Need(table) => self.load(TableKind::L2, table)?,
                Lookup::Corrupt(corruption) => return Err(self.corrupt(&corruption)),
            }
        }
    }

    /// Reports a broken mapping and marks the image (qcow2 §12). The error is the one that the caller returns.
    pub(super) fn corrupt(&mut self, corruption: &Corruption) -> Error {
        self.mark_corrupt(&corruption.to_string())
            .with_source(*corruption)
    }

    /// Reports a corruption in the real tool's words. A writable image gets its corrupt bit and is dead from now on.
    pub(super) fn mark_corrupt(&mut self, message: &str) -> Error {
        if !self.writable {
            self.report_corruption(message);
            return Error::eio();
        }
        if !self.dead {
            self.notices.say(&format!(
                "qcow2: Marking image as corrupt: {message}; further corruption events will be suppressed"
            ));
            self.corruption_reported = true;
            self.dead = true;
            if self.header.version >= 3 {
                self.header.incompatible |= IncompatibleFeatures::CORRUPT;
            }
            // The image is unusable either way; the caller's error is the one to report.
            // The whole first cluster, as the real tool, though version 2 has no such bit: a header that can't be
            // encoded again gets its bit.
            if self.rewrite_header().is_err() {
                let _ = self.write_incompatible_features();
            }
        }
        Error::eio()
    }

    /// Reports a corruption that harms nothing more: the image stays usable.
    pub(super) fn report_corruption(&mut self, message: &str) {
        if !std::mem::replace(&mut self.corruption_reported, true) {
            self.notices.say(&format!(
                "qcow2: Image is corrupt: {message}; further non-fatal corruption events will be suppressed"
            ));
        }
    }

    /// An error once the image was marked corrupt.
    pub(super) fn check_alive(&self) -> Result<()> {
        if self.dead {
            Err(Error::bare(errno::ENOMEDIUM))
        } else {
            Ok(())
        }
    }

    /// The guest clusters' L2 entry, from a loaded table.
    pub(super) fn l2_entry(
        &mut self,
        table: HostOffset,
        index: usize,
    ) -> Result<l2_entry::L2Entry> {
        self.load(TableKind::L2, table)?;
        self.l2_tables
            .peek(table)
            .and_then(|bytes| l2_entry::read(&self.geometry, bytes, index))
            .ok_or_else(Error::eio)
    }

    /// What happens once everything written is durable: freed clusters may be reused and punched.
    pub(super) fn after_flush(&mut self) {
        self.freed.clear();
        for (offset, length) in std::mem::take(&mut self.discards) {
            if self.in_flight.uses(offset, length) {
                self.discards.push((offset, length));
                continue;
            }
            // A discard is a hint; the clusters are free whether or not the file gives them back.
            let _ = self.file.discard(offset, length);
        }
        for (offset, length) in std::mem::take(&mut self.data_discards) {
            if let Some(data) = &self.data_file {
                let _ = data.discard(offset, length);
            }
        }
    }

    /// The data file is a raw image of the disk: what reads as zeros here is zero there.
    pub(super) fn has_raw_data(&self) -> bool {
        self.data_file.is_some()
            && self
                .header
                .autoclear
                .contains(AutoclearFeatures::DATA_FILE_RAW)
    }

    /// Guest data first, then this file: what it points at is durable before the pointer.
    pub(super) fn flush_files(&self) -> Result<()> {
        if let Some(data) = &self.data_file {
            data.flush()?;
        }
        self.file.flush()
    }

    /// Refcounts may be written late: the dirty bit is set.
    pub(super) fn refcounts_are_lazy(&self) -> bool {
        self.lazy_refcounts
            && self
                .header
                .incompatible
                .contains(IncompatibleFeatures::DIRTY)
    }

    /// Sets the dirty bit before the first change that lazy refcounts leave uncounted on disk.
    pub(super) fn begin_change(&mut self) -> Result<()> {
        if self.lazy_refcounts
            && !self
                .header
                .incompatible
                .contains(IncompatibleFeatures::DIRTY)
        {
            self.header.incompatible |= IncompatibleFeatures::DIRTY;
            self.write_incompatible_features()?;
            self.file.flush()?;
        }
        Ok(())
    }

    /// Clears the dirty bit once all tables are durable.
    pub(super) fn mark_clean(&mut self) -> Result<()> {
        if self
            .header
            .incompatible
            .contains(IncompatibleFeatures::DIRTY)
        {
            self.flush_all()?;
            self.header.incompatible -= IncompatibleFeatures::DIRTY;
            self.rewrite_header()?;
            self.file.flush()?;
        }
        Ok(())
    }

    /// Whether the header asks for lazy refcounts.
    pub(super) fn header_is_lazy(header: &Header) -> bool {
        header
            .compatible
            .contains(CompatibleFeatures::LAZY_REFCOUNTS)
    }
}
