//! A bounded, write-back cache of tables of one kind.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::base::HostOffset;

/// One table in memory.
struct Slot {
    offset: HostOffset,
    bytes: Box<[u8]>,
    /// The bytes that differ from the file; empty when clean.
    dirty: Range<usize>,
    /// Used since the eviction hand last came by.
    referenced: AtomicBool,
}

/// Tables by their place in the file. Knows nothing of I/O: [`super::order`] loads and writes back.
pub struct TableCache {
    slots: Vec<Slot>,
    by_offset: HashMap<HostOffset, usize>,
    capacity: usize,
    hand: usize,
    /// Tables that differ from the file.
    dirty_count: usize,
    /// What has to be durable before any table of this cache is written.
    pub(super) prerequisite: super::order::Prerequisite,
}

/// Smallest number of tables: a copy needs its source and its target at once.
const MIN_TABLES: usize = 4;
/// Dirty ranges are widened to whole sectors.
const SECTOR: usize = 512;

impl TableCache {
    /// A cache that holds about `budget` bytes.
    pub fn new(budget: u64, table_bytes: usize) -> Self {
        let tables = usize::try_from(budget / table_bytes as u64).unwrap_or(usize::MAX);
        Self {
            slots: Vec::new(),
            by_offset: HashMap::new(),
            capacity: tables.clamp(MIN_TABLES, 1 << 16),
            hand: 0,
            dirty_count: 0,
            prerequisite: super::order::Prerequisite::empty(),
        }
    }

    /// The table at that place, when it is in memory.
    pub fn peek(&self, offset: HostOffset) -> Option<&[u8]> {
        let slot = self.slots.get(*self.by_offset.get(&offset)?)?;
        slot.referenced.store(true, Ordering::Relaxed);
        Some(&slot.bytes)
    }

    /// The table's bytes, with `changed` marked as differing from the file.
    pub fn change(&mut self, offset: HostOffset, changed: Range<usize>) -> Option<&mut [u8]> {
        let slot = self.slots.get_mut(*self.by_offset.get(&offset)?)?;
        let start = changed.start / SECTOR * SECTOR;
        let end = changed.end.next_multiple_of(SECTOR).min(slot.bytes.len());
        if slot.dirty.is_empty() {
            self.dirty_count += 1;
            slot.dirty = start..end;
        } else {
            slot.dirty = slot.dirty.start.min(start)..slot.dirty.end.max(end);
        }
        slot.referenced.store(true, Ordering::Relaxed);
        Some(&mut slot.bytes)
    }

    /// The table that has to go before another fits: its place, and whether it must be written first.
    pub fn victim(&mut self) -> Option<(HostOffset, bool)> {
        if self.slots.len() < self.capacity {
            return None;
        }
        loop {
            self.hand = (self.hand + 1) % self.slots.len();
            let slot = &mut self.slots[self.hand];
            if !slot.referenced.load(Ordering::Relaxed) {
                return Some((slot.offset, !slot.dirty.is_empty()));
            }
            slot.referenced.store(false, Ordering::Relaxed);
        }
    }

    /// Adds a table; `dirty` when the file does not hold these bytes. Replaces what was known of that place.
    pub fn insert(&mut self, offset: HostOffset, bytes: Box<[u8]>, dirty: bool) {
        self.forget(offset);
        let dirty = if dirty { 0..bytes.len() } else { 0..0 };
        self.dirty_count += usize::from(!dirty.is_empty());
        self.by_offset.insert(offset, self.slots.len());
        self.slots.push(Slot {
            offset,
            bytes,
            dirty,
            referenced: AtomicBool::new(true),
        });
    }

    /// Drops a table without writing it: its cluster is free now, or it was evicted.
    pub fn forget(&mut self, offset: HostOffset) {
        let Some(index) = self.by_offset.remove(&offset) else {
            return;
        };
        let slot = self.slots.swap_remove(index);
        self.dirty_count -= usize::from(!slot.dirty.is_empty());
        if let Some(moved) = self.slots.get(index) {
            self.by_offset.insert(moved.offset, index);
        }
        if self.hand >= self.slots.len() {
            self.hand = 0;
        }
    }

    /// Drops everything, written or not.
    pub fn clear(&mut self) {
        self.slots.clear();
        self.by_offset.clear();
        self.hand = 0;
        self.dirty_count = 0;
    }

    /// Whether anything waits to be written.
    pub const fn is_dirty(&self) -> bool {
        self.dirty_count > 0
    }

    /// The places of all dirty tables, in the order of the file.
    pub fn dirty_tables(&self) -> Vec<HostOffset> {
        if self.dirty_count == 0 {
            return Vec::new();
        }
        let mut offsets: Vec<_> = self
            .slots
            .iter()
            .filter(|slot| !slot.dirty.is_empty())
            .map(|slot| slot.offset)
            .collect();
        offsets.sort_unstable();
        offsets
    }

    /// What to write of a dirty table, the dirty part or the whole: its place in the file and its bytes.
    pub fn dirty_bytes(&self, offset: HostOffset, whole: bool) -> Option<(HostOffset, &[u8])> {
        let slot = self.slots.get(*self.by_offset.get(&offset)?)?;
        if slot.dirty.is_empty() {
            return None;
        }
        if whole {
            return Some((slot.offset, &slot.bytes));
        }
        let place = slot.offset.saturating_plus(slot.dirty.start as u64);
        Some((place, slot.bytes.get(slot.dirty.clone())?))
    }

    /// Notes that the file holds the table as it is in memory.
    pub fn mark_clean(&mut self, offset: HostOffset) {
        let slot = self
            .by_offset
            .get(&offset)
            .and_then(|index| self.slots.get_mut(*index));
        if let Some(slot) = slot
            && !slot.dirty.is_empty()
        {
            slot.dirty = 0..0;
            self.dirty_count -= 1;
        }
    }
}

#[cfg(test)]
mod tests;
