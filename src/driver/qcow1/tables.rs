//! The L1 and L2 tables in memory, both in bounded pieces: a header of a few bytes may claim an L1 table of
//! gigabytes, and the real tool then takes those gigabytes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use crate::base::{Error, GuestOffset, HostOffset, Result};
use crate::format::qcow1::{Geometry, Mapping, Misaligned, Run, lookup};
use crate::node::{DebugEvent, HostFile};

/// Entries of the L1 table that are loaded together (4 KiB).
const L1_PIECE_ENTRIES: u64 = 512;
/// Up to so many entries, all that is kept, the L1 table is read when the image is opened.
const PRELOADED_ENTRIES: u64 = L1_PIECE_ENTRIES * L1_PIECES_MAX as u64;
/// Pieces of the L1 table kept (8 MiB).
const L1_PIECES_MAX: usize = 2048;
/// Bytes of L2 tables kept, in tables of any size.
const L2_CACHE_BYTES: usize = 4 << 20;

struct Cached {
    entries: Box<[u64]>,
    used: AtomicU64,
}

#[derive(Default)]
struct Cache {
    /// Pieces of the L1 table by number.
    l1: HashMap<u64, Box<[u64]>>,
    /// L2 tables by place: two L1 entries of a hostile image that share a table share it here too.
    l2: HashMap<HostOffset, Cached>,
}

/// The mapping tables of one image.
pub(super) struct Tables {
    file: HostFile,
    geometry: Geometry,
    l1_offset: HostOffset,
    cache: RwLock<Cache>,
    clock: AtomicU64,
}

fn decode(bytes: &[u8]) -> Box<[u64]> {
    let (entries, _) = bytes.as_chunks::<8>();
    entries.iter().map(|e| u64::from_be_bytes(*e)).collect()
}

impl Tables {
    pub(super) fn new(file: HostFile, geometry: Geometry, l1_offset: HostOffset) -> Self {
        Self {
            file,
            geometry,
            l1_offset,
            cache: RwLock::default(),
            clock: AtomicU64::new(0),
        }
    }

    pub(super) const fn l1_offset(&self) -> HostOffset {
        self.l1_offset
    }

    /// Forgets everything: the file was changed underneath.
    pub(super) fn clear(&self) {
        *self.cache.write() = Cache::default();
    }

    /// Reads an L1 table of usual length, as the real tool does when it opens an image.
    pub(super) fn preload(&self) -> Result<()> {
        let entries = self.geometry.l1_entries();
        if entries > PRELOADED_ENTRIES {
            return Ok(());
        }
        let covered = self.geometry.l1_entry_covers();
        for first in (0..entries).step_by(usize::try_from(L1_PIECE_ENTRIES).unwrap_or(1)) {
            self.l2_offset(GuestOffset::new(first.saturating_mul(covered)))?;
        }
        Ok(())
    }

    /// The L1 entry responsible for `guest`, `None` when there is no table.
    pub(super) fn l2_offset(&self, guest: GuestOffset) -> Result<Option<HostOffset>> {
        let index = self.geometry.l1_index(guest);
        let (piece, within) = (index / L1_PIECE_ENTRIES, index % L1_PIECE_ENTRIES);
        let within = usize::try_from(within).unwrap_or(usize::MAX);
        let entry = |entries: &[u64]| {
            let entry = entries.get(within).copied().unwrap_or_default();
            (entry != 0).then(|| HostOffset::new(entry))
        };
        if let Some(entries) = self.cache.read().l1.get(&piece) {
            return Ok(entry(entries));
        }
        let mut cache = self.cache.write();
        if let Some(entries) = cache.l1.get(&piece) {
            return Ok(entry(entries));
        }
        let first = piece * L1_PIECE_ENTRIES;
        let count = L1_PIECE_ENTRIES.min(self.geometry.l1_entries().saturating_sub(first));
        let place = self.geometry.l1_entry_place(self.l1_offset, first)?;
        let length = usize::try_from(count * 8).unwrap_or_default();
        let entries = decode(&self.file.read_vec(place, length)?);
        let found = entry(&entries);
        if cache.l1.len() >= L1_PIECES_MAX {
            cache.l1.clear();
        }
        cache.l1.insert(piece, entries);
        Ok(found)
    }

    /// Guest bytes from `guest` that certainly have no L2 table, without looking at each entry: the L1 table
    /// may end far behind the file, or be a hole. 0 when that can't be said cheaply.
    pub(super) fn absent_from(&self, guest: GuestOffset) -> Result<u64> {
        let index = self.geometry.l1_index(guest);
        let place = self.geometry.l1_entry_place(self.l1_offset, index)?;
        let rest = self.geometry.l1_entries().saturating_sub(index) * 8;
        let length = self.file.length()?;
        let zeros = if place.bytes() >= length {
            rest
        } else {
            let extent = self.file.extent(place, rest)?;
            if extent.zero { extent.length } else { 0 }
        };
        Ok((zeros / 8).saturating_mul(self.geometry.l1_entry_covers()))
    }

    /// Writes an L1 entry through.
    pub(super) fn set_l2_offset(&self, guest: GuestOffset, table: HostOffset) -> Result<()> {
        let index = self.geometry.l1_index(guest);
        let mut cache = self.cache.write();
        let place = self.geometry.l1_entry_place(self.l1_offset, index)?;
        self.file.debug_event(DebugEvent::L1Update);
        self.file.write_at(place, &table.bytes().to_be_bytes())?;
        let within = usize::try_from(index % L1_PIECE_ENTRIES).unwrap_or(usize::MAX);
        if let Some(entry) = cache
            .l1
            .get_mut(&(index / L1_PIECE_ENTRIES))
            .and_then(|entries| entries.get_mut(within))
        {
            *entry = table.bytes();
        }
        Ok(())
    }

    /// The run at `guest`.
    pub(super) fn run(&self, guest: GuestOffset, length: u64) -> Result<Run> {
        Ok(self.looked_up(guest, length)??)
    }

    /// The run at `guest` for those who only ask what is there: a cluster at an impossible place is allocated, and
    /// only reading or writing it fails.
    pub(super) fn status(&self, guest: GuestOffset, length: u64) -> Result<Run> {
        Ok(self
            .looked_up(guest, length)?
            .unwrap_or_else(|Misaligned(entry)| {
                let within = self.geometry.within_cluster(guest);
                Run {
                    length: (self.geometry.cluster_size() - within).min(length),
                    mapping: Mapping::Normal(HostOffset::new(entry).saturating_plus(within)),
                }
            }))
    }

    fn looked_up(
        &self,
        guest: GuestOffset,
        length: u64,
    ) -> Result<std::result::Result<Run, Misaligned>> {
        let Some(table) = self.l2_offset(guest)? else {
            return Ok(lookup(&self.geometry, None, guest, length));
        };
        // qcow1 §3: no flag bits in L1 entries, so bit 63 makes an offset that no file has.
        let table_end = table.plus(self.geometry.l2_bytes() as u64)?;
        if i64::try_from(table_end.bytes()).is_err() {
            return Err(Error::eio());
        }
        let found = |entries: &[u64]| lookup(&self.geometry, Some(entries), guest, length);
        if let Some(cached) = self.cache.read().l2.get(&table) {
            cached.used.store(self.tick(), Ordering::Relaxed);
            return Ok(found(&cached.entries));
        }
        let mut cache = self.cache.write();
        if let Some(cached) = cache.l2.get(&table) {
            return Ok(found(&cached.entries));
        }
        self.file.debug_event(DebugEvent::L2Load);
        let entries = decode(&self.file.read_vec(table, self.geometry.l2_bytes())?);
        let run = found(&entries);
        if cache.l2.len() >= L2_CACHE_BYTES / self.geometry.l2_bytes() {
            forget_oldest(&mut cache.l2);
        }
        let used = AtomicU64::new(self.tick());
        cache.l2.insert(table, Cached { entries, used });
        Ok(run)
    }

    /// Writes consecutive L2 entries through, behind `event`. All belong to the table responsible for `guest`.
    pub(super) fn set_entries(
        &self,
        guest: GuestOffset,
        values: &[u64],
        event: DebugEvent,
    ) -> Result<()> {
        let table = self.l2_offset(guest)?.ok_or_else(Error::eio)?;
        let index = self.geometry.l2_index(guest);
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_be_bytes())
            .collect();
        let mut cache = self.cache.write();
        self.file.debug_event(event);
        self.file.write_at(table.plus(index as u64 * 8)?, &bytes)?;
        if let Some(entries) = cache
            .l2
            .get_mut(&table)
            .and_then(|cached| cached.entries.get_mut(index..index + values.len()))
        {
            entries.copy_from_slice(values);
        }
        Ok(())
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }
}

fn forget_oldest(tables: &mut HashMap<HostOffset, Cached>) {
    let oldest = tables
        .iter()
        .min_by_key(|(_, cached)| cached.used.load(Ordering::Relaxed))
        .map(|(offset, _)| *offset);
    if let Some(offset) = oldest {
        tables.remove(&offset);
    }
}
