//! Loading tables and writing them back in an order that leaves leaks at worst (qcow2 §11).

use bitflags::bitflags;

use super::TableCache;
use crate::base::{HostOffset, Result};
use crate::driver::qcow2::metadata::Metadata;
use crate::node::DebugEvent;

/// The two kinds of cached tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// Mapping tables.
    L2,
    /// Refcount blocks.
    RefcountBlock,
}

impl TableKind {
    const fn other(self) -> Self {
        match self {
            Self::L2 => Self::RefcountBlock,
            Self::RefcountBlock => Self::L2,
        }
    }
}

bitflags! {
    /// What must be durable before a cache may write a table.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Prerequisite: u8 {
        /// All dirty tables of the other cache.
        const OTHER_CACHE = 1;
        /// Everything written to the file so far.
        const FILE = 2;
    }
}

impl Metadata {
    pub(in crate::driver::qcow2) const fn cache(&mut self, kind: TableKind) -> &mut TableCache {
        match kind {
            TableKind::L2 => &mut self.l2_tables,
            TableKind::RefcountBlock => &mut self.refcount_blocks,
        }
    }

    /// Brings a table into memory. Its place has been checked.
    pub(in crate::driver::qcow2) fn load(
        &mut self,
        kind: TableKind,
        offset: HostOffset,
    ) -> Result<()> {
        if self.cache(kind).peek(offset).is_some() {
            return Ok(());
        }
        self.make_room(kind)?;
        if kind == TableKind::L2 {
            self.file.debug_event(DebugEvent::L2Load);
        }
        let bytes = self
            .file
            .read_vec(offset, self.geometry.cluster_bytes())?
            .into_boxed_slice();
        self.cache(kind).insert(offset, bytes, false);
        Ok(())
    }

    /// Puts a new table into memory that the file does not hold yet.
    pub(in crate::driver::qcow2) fn insert_new(
        &mut self,
        kind: TableKind,
        offset: HostOffset,
        bytes: Box<[u8]>,
    ) -> Result<()> {
        self.make_room(kind)?;
        self.cache(kind).insert(offset, bytes, true);
        Ok(())
    }

    fn make_room(&mut self, kind: TableKind) -> Result<()> {
        while let Some((victim, dirty)) = self.cache(kind).victim() {
            if dirty {
                self.write_back(kind, victim)?;
            }
            self.cache(kind).forget(victim);
        }
        Ok(())
    }

    /// From now on, nothing of `kind` is written before the other cache's present content is durable.
    ///
    /// Called before the change that relies on it. A dependency the other way round is settled first.
    pub(in crate::driver::qcow2) fn require_other_first(&mut self, kind: TableKind) -> Result<()> {
        let opposite = self.cache(kind.other()).prerequisite;
        if opposite.contains(Prerequisite::OTHER_CACHE) {
            self.settle(kind.other())?;
        }
        if self.cache(kind.other()).is_dirty() {
            self.cache(kind).prerequisite |= Prerequisite::OTHER_CACHE;
        }
        Ok(())
    }

    /// From now on, nothing of `kind` is written before the data written so far is durable.
    pub(in crate::driver::qcow2) fn require_file_first(&mut self, kind: TableKind) {
        self.cache(kind).prerequisite |= Prerequisite::FILE;
    }

    /// Makes durable what the cache waits for.
    fn settle(&mut self, kind: TableKind) -> Result<()> {
        let prerequisite = self.cache(kind).prerequisite;
        if prerequisite.contains(Prerequisite::OTHER_CACHE) {
            self.write_all(kind.other())?;
        }
        if !prerequisite.is_empty() {
            self.flush_files()?;
            self.cache(kind).prerequisite = Prerequisite::empty();
        }
        Ok(())
    }

    /// Writes one table, if it is dirty, after what it waits for.
    pub(in crate::driver::qcow2) fn write_back(
        &mut self,
        kind: TableKind,
        offset: HostOffset,
    ) -> Result<()> {
        self.settle(kind)?;
        self.guard_table_write(kind, offset)?;
        let end = offset.plus(self.geometry.cluster_size())?;
        // Of a table that the file does not have to its end, all is written.
        let whole = self.file.length()? < end.bytes();
        let cache = match kind {
            TableKind::L2 => &mut self.l2_tables,
            TableKind::RefcountBlock => &mut self.refcount_blocks,
        };
        if let Some((place, bytes)) = cache.dirty_bytes(offset, whole) {
            self.file.debug_event(match kind {
                TableKind::L2 => DebugEvent::L2Update,
                TableKind::RefcountBlock => DebugEvent::RefblockUpdatePart,
            });
            self.file.write_at(place, bytes)?;
            cache.mark_clean(offset);
        }
        Ok(())
    }

    /// Writes all dirty tables of a kind; does not flush the file.
    pub(in crate::driver::qcow2) fn write_all(&mut self, kind: TableKind) -> Result<()> {
        if !self.cache(kind).is_dirty() {
            return Ok(());
        }
        self.settle(kind)?;
        for offset in self.cache(kind).dirty_tables() {
            self.write_back(kind, offset)?;
        }
        Ok(())
    }

    /// Writes all dirty tables in order and makes everything durable (crash consistency, rule 8).
    ///
    /// Refcounts that may be late stay in memory: the dirty bit says that the file's are not to be trusted.
    pub(in crate::driver::qcow2) fn flush(&mut self) -> Result<()> {
        self.write_tables()?;
        self.flush_files()?;
        self.after_flush();
        Ok(())
    }

    /// As [`Self::flush`], and no refcount stays behind.
    pub(in crate::driver::qcow2) fn flush_all(&mut self) -> Result<()> {
        self.write_all_tables()?;
        self.flush_files()?;
        self.after_flush();
        Ok(())
    }

    /// Writes the dirty tables in order, but refcounts that may be late.
    pub(in crate::driver::qcow2) fn write_tables(&mut self) -> Result<()> {
        if self.refcounts_are_lazy() {
            return self.write_all(TableKind::L2);
        }
        self.write_all_tables()
    }

    /// Writes all dirty tables in order; the file is flushed only between dependent ones.
    pub(in crate::driver::qcow2) fn write_all_tables(&mut self) -> Result<()> {
        // One of the two waits for the other, or neither does: writing the waiting one last settles both.
        if self
            .l2_tables
            .prerequisite
            .contains(Prerequisite::OTHER_CACHE)
        {
            self.write_all(TableKind::RefcountBlock)?;
            self.write_all(TableKind::L2)
        } else {
            self.write_all(TableKind::L2)?;
            self.write_all(TableKind::RefcountBlock)
        }
    }

    /// Writes something that points at the new state of the image, durably. A failure writes the old state again: the
    /// first write may have happened or not, and nobody knows what to keep. When not even that works, nothing is
    /// written any more, as both states are still whole.
    pub(in crate::driver::qcow2) fn switch<T>(
        &mut self,
        new: T,
        old: T,
        write: &mut dyn FnMut(&mut Self, T) -> Result<()>,
    ) -> Result<()> {
        let switched = write(self, new).and_then(|()| self.file.flush());
        if switched.is_err() {
            let back = write(self, old).and_then(|()| self.file.flush());
            self.dead |= back.is_err();
        }
        switched
    }
}
