//! Internal snapshots (qcow2 §6).

use super::image::Qcow2;
use super::l1::l1_bytes;
use super::metadata::{FreeReason, Metadata};
use super::overlap::Area;
use super::preallocate::Growth;
use super::snapshot_tree::l1_entries_of;
use crate::base::error::errno;
use crate::base::{Error, HostOffset, Result, limits};
use crate::format::qcow2::L1Entry;
use crate::format::qcow2::snapshot_table::{self, Snapshot, SnapshotTable, SnapshotTableError};
use crate::node::{SnapshotInfo, SnapshotRequest};

/// QEMU: bytes of a snapshot's name.
const NAME_MAX: usize = 255;
/// Bytes of the table that are read at first.
const FIRST_READ: usize = 512;
/// Up to here no more is read than needed: what lies behind may be unreadable.
const EXACT_READ: usize = 1 << 16;

impl Qcow2 {
    /// The snapshots, in the order of the table.
    pub(super) fn list_snapshots(&self) -> Result<Vec<SnapshotInfo>> {
        let metadata = self.metadata()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let info = |snapshot: &Snapshot| SnapshotInfo {
            id: text(&snapshot.id),
            name: text(&snapshot.name),
            vm_state_size: snapshot.vm_state_size,
            date_seconds: snapshot.date_seconds,
            date_nanoseconds: snapshot.date_nanoseconds,
            vm_clock_nanoseconds: snapshot.vm_clock_nanoseconds,
            icount: snapshot.icount,
            disk_size: snapshot.disk_size.unwrap_or(metadata.size),
        };
        Ok(metadata.snapshots.iter().map(info).collect())
    }

    /// Takes a snapshot. A failure leaves the image as it was.
    pub(super) fn create_snapshot(&self, request: &SnapshotRequest) -> Result<()> {
        self.check_writable()?;
        if self.geometry.external_data() {
            return Err(Error::bare(errno::ENOTSUP));
        }
        let _own = self.own_all();
        self.metadata()?.create_snapshot(request)
    }

    /// Makes the active state that of a snapshot.
    pub(super) fn apply_snapshot(&self, id_or_name: &str) -> Result<()> {
        self.check_writable()?;
        if self.geometry.external_data() {
            return Err(Error::bare(errno::ENOTSUP));
        }
        let _own = self.own_all();
        let mut bitmaps = self.bitmaps.lock();
        let mut metadata = self.metadata()?;
        let wanted = id_or_name.as_bytes();
        let snapshots = &metadata.snapshots;
        let snapshot = snapshots
            .iter()
            .find(|snapshot| snapshot.id == wanted)
            .or_else(|| snapshots.iter().find(|snapshot| snapshot.name == wanted))
            .cloned()
            .ok_or_else(|| Error::bare(errno::ENOENT))?;
        metadata.validate_snapshot_l1(&snapshot)?;
        let disk_size = snapshot.disk_size.unwrap_or(metadata.size);
        if disk_size != metadata.size {
            let growth = Growth::without_preallocation(metadata.size, disk_size);
            self.resize_locked(&mut metadata, &mut bitmaps, disk_size, &growth)?;
        }
        metadata.apply_snapshot(&snapshot)
    }

    /// Deletes the first snapshot with that id and name, each when given.
    pub(super) fn delete_snapshot(&self, id: Option<&str>, name: Option<&str>) -> Result<()> {
        self.check_writable()?;
        let _own = self.own_all();
        let mut metadata = self.metadata()?;
        let index = find(&metadata.snapshots, id, name)
            .ok_or_else(|| Error::caller("snapshot not found").with_errno(errno::ENOENT))?;
        metadata.delete_snapshot(index)
    }

    /// Makes a read-only image show a snapshot's content. The disk keeps its length.
    pub(super) fn load_snapshot(&self, id: Option<&str>, name: Option<&str>) -> Result<()> {
        if self.writable {
            return Err(Error::bare(errno::EACCES));
        }
        let _own = self.own_all();
        let mut metadata = self.metadata()?;
        let index = find(&metadata.snapshots, id, name)
            .ok_or_else(|| Error::caller("Can't find snapshot").with_errno(errno::ENOENT))?;
        let snapshot = metadata.snapshots.get(index).cloned().unwrap_or_default();
        metadata.validate_snapshot_l1(&snapshot)?;
        metadata.l1 = metadata.read_snapshot_l1(&snapshot)?;
        metadata.freed_generation += 1;
        Ok(())
    }
}

/// The first snapshot that has the id and the name, each when given.
fn find(snapshots: &[Snapshot], id: Option<&str>, name: Option<&str>) -> Option<usize> {
    let same =
        |wanted: Option<&str>, bytes: &[u8]| wanted.is_none_or(|wanted| wanted.as_bytes() == bytes);
    snapshots
        .iter()
        .position(|snapshot| same(id, &snapshot.id) && same(name, &snapshot.name))
}

impl Metadata {
    /// Reads the table that the header names.
    pub(super) fn load_snapshots(&mut self) -> Result<()> {
        let count = self.header.snapshot_count;
        if count == 0 {
            return Ok(());
        }
        let table = self.read_snapshot_table(count, false)?;
        self.snapshot_table_bytes = table.bytes as u64;
        self.snapshots = table.snapshots;
        self.index_snapshot_tables();
        Ok(())
    }

    /// Reads `count` entries; as much of the file as they turn out to need, within the cap.
    pub(super) fn read_snapshot_table(&self, count: u32, trim: bool) -> Result<SnapshotTable> {
        let mut bytes = Vec::new();
        let mut length = FIRST_READ;
        loop {
            let have = bytes.len();
            bytes.resize(length, 0);
            let place = self.header.snapshots_offset.plus(have as u64)?;
            // More is asked for than the table has: a format node below refuses what lies past its end.
            let behind = self.file.length()?.saturating_sub(place.bytes());
            let end = have.saturating_add(usize::try_from(behind).unwrap_or(usize::MAX));
            let new = bytes.get_mut(have..length.min(end)).unwrap_or_default();
            self.file
                .read_at(place, new)
                .map_err(|error| error.prefixed("Failed to read snapshot table: "))?;
            match SnapshotTable::parse(&bytes, count, trim) {
                Ok(table) => return Ok(table),
                // The parser refuses a table that is longer than the cap before it asks for it.
                Err(SnapshotTableError::Need(needed)) => {
                    length = if length < EXACT_READ {
                        needed.next_multiple_of(FIRST_READ)
                    } else {
                        needed.max(length * 2)
                    };
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What overlap checks know of snapshots.
    fn index_snapshot_tables(&mut self) {
        let place = |snapshot: &Snapshot| (snapshot.l1_offset, u64::from(snapshot.l1_entries) * 8);
        self.inactive_l1 = self.snapshots.iter().map(place).collect();
    }

    /// Length and place of a snapshot's L1 table (qcow2 §6).
    pub(super) fn validate_snapshot_l1(&self, snapshot: &Snapshot) -> Result<()> {
        Ok(self.header.validate_table(
            snapshot.l1_offset,
            u64::from(snapshot.l1_entries) * 8,
            limits::QCOW2_MAX_L1_BYTES,
            "Snapshot L1 table",
        )?)
    }

    /// The L1 table of a validated snapshot.
    pub(super) fn read_snapshot_l1(&self, snapshot: &Snapshot) -> Result<Vec<L1Entry>> {
        let bytes = usize::try_from(snapshot.l1_entries).map_err(|_| Error::eio())? * 8;
        l1_entries_of(&self.file.read_vec(snapshot.l1_offset, bytes)?)
    }

    const fn clusters_of(&self, bytes: u64) -> u64 {
        bytes.div_ceil(self.geometry.cluster_size())
    }

    fn create_snapshot(&mut self, request: &SnapshotRequest) -> Result<()> {
        if self.snapshots.len() >= limits::QCOW2_MAX_SNAPSHOTS as usize {
            return Err(Error::bare(errno::EFBIG));
        }
        self.leave_caches()?;
        let l1 = self.l1.clone();
        let clusters = self.clusters_of(l1.len() as u64 * 8);
        let place = self.allocate_clusters(clusters)?;
        let first = self.geometry.host_cluster(place);
        let mut name = request.name.as_bytes().to_vec();
        name.truncate(NAME_MAX);
        let snapshot = Snapshot {
            l1_offset: place,
            l1_entries: self.header.l1_entries,
            id: snapshot_table::next_id(&self.snapshots)
                .to_string()
                .into_bytes(),
            name,
            date_seconds: request.date_seconds,
            date_nanoseconds: request.date_nanoseconds,
            disk_size: Some(self.size),
            // The real tools store zero, not "not recorded" (errata 58).
            icount: Some(0),
            ..Snapshot::default()
        };
        let outcome = self
            .write_l1_copy(place, &l1)
            .and_then(|()| self.raise_tree(&l1));
        if let Err(error) = outcome {
            self.free_clusters(first, clusters, FreeReason::Never);
            return Err(error);
        }
        let mut snapshots = self.snapshots.clone();
        snapshots.push(snapshot);
        let outcome = self
            .fix_active_copied_flags()
            .and_then(|()| self.store_snapshots(snapshots));
        if let Err(error) = outcome {
            // As far as possible: what fails now leaks.
            let _ = self.lower_tree(&l1, FreeReason::Never);
            let _ = self.fix_active_copied_flags();
            self.free_clusters(first, clusters, FreeReason::Never);
            return Err(error);
        }
        self.flush()
    }

    /// Writes the table anew: entries get all the data that version 3 asks for.
    pub(super) fn rewrite_snapshot_table(&mut self) -> Result<()> {
        self.store_snapshots(self.snapshots.clone())?;
        self.flush()
    }

    fn write_l1_copy(&mut self, place: HostOffset, l1: &[L1Entry]) -> Result<()> {
        let bytes = l1_bytes(l1);
        self.guard_write(place, bytes.len() as u64, Area::InactiveL1)?;
        self.file.write_at(place, &bytes)
    }

    /// Writes a new table and switches the header over; a failure before that leaves the old one.
    pub(super) fn store_snapshots(&mut self, snapshots: Vec<Snapshot>) -> Result<()> {
        let bytes =
            snapshot_table::encode(&snapshots, self.size).map_err(|_| Error::bare(errno::EFBIG))?;
        let count = u32::try_from(snapshots.len()).map_err(|_| Error::bare(errno::EFBIG))?;
        let clusters = self.clusters_of(bytes.len() as u64);
        let place = if bytes.is_empty() {
            HostOffset::ZERO
        } else {
            self.allocate_clusters(clusters)?
        };
        let old_place = self.header.snapshots_offset;
        let switched = self.switch_snapshot_table(place, count, &bytes);
        if let Err(error) = switched {
            self.free_clusters(
                self.geometry.host_cluster(place),
                clusters,
                FreeReason::Never,
            );
            return Err(error);
        }
        let old_clusters = self.clusters_of(self.snapshot_table_bytes);
        self.snapshots = snapshots;
        self.snapshot_table_bytes = bytes.len() as u64;
        self.index_snapshot_tables();
        let first = self.geometry.host_cluster(old_place);
        self.free_clusters(first, old_clusters, FreeReason::Snapshot);
        Ok(())
    }

    fn switch_snapshot_table(&mut self, place: HostOffset, count: u32, bytes: &[u8]) -> Result<()> {
        if !bytes.is_empty() {
            self.guard_write(place, bytes.len() as u64, Area::SnapshotTable)?;
            self.file.write_at(place, bytes)?;
        }
        self.flush()?;
        let old = (self.header.snapshot_count, self.header.snapshots_offset);
        self.switch((count, place), old, &mut |metadata, (count, place)| {
            metadata.header.snapshot_count = count;
            metadata.header.snapshots_offset = place;
            metadata.write_snapshots_place()
        })
    }

    /// The disk has the snapshot's length already.
    fn apply_snapshot(&mut self, snapshot: &Snapshot) -> Result<()> {
        self.grow_l1(u64::from(snapshot.l1_entries), true)?;
        self.leave_caches()?;
        let mut l1 = self.read_snapshot_l1(snapshot)?;
        self.raise_tree(&l1)?;
        let switched = self.switch_active_l1(snapshot, &mut l1);
        let old = match switched {
            Ok(old) => old,
            Err(error) => {
                let _ = self.lower_tree(&l1, FreeReason::Never);
                return Err(error);
            }
        };
        self.rebuild_overlap_index();
        let lowered = self.lower_tree(&old, FreeReason::Snapshot);
        let stored = lowered.and_then(|()| self.store_copied_flags(&old));
        stored.inspect_err(|error| self.mend_copied_flags(&old, error))
    }

    /// Writes a snapshot's entries over the active ones; gives the old ones.
    fn switch_active_l1(
        &mut self,
        snapshot: &Snapshot,
        l1: &mut Vec<L1Entry>,
    ) -> Result<Vec<L1Entry>> {
        let fixed = self.fix_copied_flags(l1)?;
        if fixed != *l1 {
            self.write_l1_copy(snapshot.l1_offset, &fixed)?;
            self.file.flush()?;
            *l1 = fixed;
        }
        let mut active = l1.clone();
        active.resize(self.l1.len(), L1Entry::EMPTY);
        let old = self.l1.clone();
        self.switch(active, old.clone(), &mut |metadata, entries| {
            metadata.l1 = entries;
            metadata.write_whole_l1()
        })?;
        Ok(old)
    }

    fn delete_snapshot(&mut self, index: usize) -> Result<()> {
        let mut snapshots = self.snapshots.clone();
        let snapshot = snapshots.remove(index);
        self.validate_snapshot_l1(&snapshot)?;
        let l1 = self.read_snapshot_l1(&snapshot)?;
        self.leave_caches()?;
        self.store_snapshots(snapshots)
            .map_err(|error| error.prefixed("Failed to remove snapshot from snapshot list: "))?;
        if let Err(error) = self.lower_tree(&l1, FreeReason::Snapshot) {
            self.mend_copied_flags(&l1, &error);
            return Err(error.prefixed("Failed to free the cluster and L1 table: "));
        }
        let first = self.geometry.host_cluster(snapshot.l1_offset);
        let clusters = self.clusters_of(u64::from(snapshot.l1_entries) * 8);
        self.free_clusters(first, clusters, FreeReason::Snapshot);
        self.store_copied_flags(&l1).map_err(|error| {
            self.mend_copied_flags(&l1, &error);
            error.prefixed("Failed to update snapshot status in disk: ")
        })
    }

    /// Makes COPIED mean "counted exactly once" in what `l1` reaches and in the active tables, on the disk.
    fn store_copied_flags(&mut self, l1: &[L1Entry]) -> Result<()> {
        self.fix_copied_flags(l1)?;
        self.fix_active_copied_flags()?;
        self.flush()
    }

    /// After a request that failed, the flags still have to fit the counts that were changed before: as far as the disk
    /// takes it. Damaged tables are left alone.
    fn mend_copied_flags(&mut self, l1: &[L1Entry], error: &Error) {
        if error.errno() != errno::EINVAL && !self.dead {
            let _ = self.store_copied_flags(l1);
        }
    }
}

#[cfg(test)]
mod tests;
