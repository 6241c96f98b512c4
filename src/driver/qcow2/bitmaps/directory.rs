//! The directory and the tables in the file.

use crate::base::{Error, HostOffset, Result};
use crate::driver::qcow2::metadata::{FreeReason, Metadata};
use crate::driver::qcow2::overlap::Area;
use crate::format::qcow2::bitmap::directory::{self, DirectoryEntry};
use crate::format::qcow2::bitmap::table::TableEntry;
use crate::format::qcow2::bitmap::{BitmapError, BitmapsExtension};
use crate::format::qcow2::header::AutoclearFeatures;

/// Table entries that are read at once.
const ENTRIES_AT_ONCE: usize = 1 << 16;

impl Metadata {
    /// The entries of the directory that the header names.
    pub(in crate::driver::qcow2) fn read_bitmap_directory(
        &self,
        place: &BitmapsExtension,
    ) -> Result<Vec<DirectoryEntry>> {
        if place.directory_bytes == 0 {
            return Err(BitmapError::DirectoryEmpty.into());
        }
        // The size was checked against its cap.
        let length = usize::try_from(place.directory_bytes).map_err(|_| Error::eio())?;
        let bytes = self
            .file
            .read_vec(place.directory_offset, length)
            .map_err(|error| error.prefixed("Failed to read bitmap directory: "))?;
        Ok(directory::parse(
            &bytes,
            place.count,
            &self.geometry,
            self.size,
        )?)
    }

    /// Hands each entry of a bitmap's table to `each`.
    pub(in crate::driver::qcow2) fn for_each_bitmap_cluster(
        &self,
        entry: &DirectoryEntry,
        mut each: impl FnMut(u64, TableEntry) -> Result<()>,
    ) -> Result<()> {
        let cluster_size = self.geometry.cluster_size();
        let count = usize::try_from(entry.table_entries).map_err(|_| Error::eio())?;
        let mut done = 0;
        while done < count {
            let piece = (count - done).min(ENTRIES_AT_ONCE);
            let place = entry.table_offset.plus(done as u64 * 8)?;
            let bytes = self.file.read_vec(place, piece * 8)?;
            let raw = bytes
                .chunks_exact(8)
                .filter_map(|chunk| chunk.first_chunk::<8>())
                .map(|chunk| u64::from_be_bytes(*chunk));
            for (index, raw) in (done as u64..).zip(raw) {
                let cluster = TableEntry::parse(raw, cluster_size)
                    .ok_or_else(|| BitmapError::TableEntry(entry.text()))?;
                each(index, cluster)?;
            }
            done += piece;
        }
        Ok(())
    }

    /// Allocates clusters for `bytes` and writes them there; a failure allocates nothing.
    pub(super) fn write_bitmap_part(&mut self, bytes: &[u8], own: Area) -> Result<HostOffset> {
        let length = bytes.len() as u64;
        let clusters = length.div_ceil(self.geometry.cluster_size());
        let place = self.allocate_clusters(clusters)?;
        self.write_bitmap_part_at(place, bytes, own)
    }

    /// The same with what the real tool says of one bitmap's part.
    pub(super) fn write_part_of_bitmap(&mut self, name: &str, bytes: &[u8]) -> Result<HostOffset> {
        let length = bytes.len() as u64;
        let clusters = length.div_ceil(self.geometry.cluster_size());
        let place = self.allocate_clusters(clusters).map_err(|error| {
            error.prefixed(format!("Failed to allocate clusters for bitmap '{name}': "))
        })?;
        self.write_bitmap_part_at(place, bytes, Area::Data)
    }

    fn write_bitmap_part_at(
        &mut self,
        place: HostOffset,
        bytes: &[u8],
        own: Area,
    ) -> Result<HostOffset> {
        let length = bytes.len() as u64;
        let written = self
            .guard_write(place, length, own)
            .map_err(|error| error.prefixed("Qcow2 overlap check failed: "))
            .and_then(|()| self.file.write_at(place, bytes));
        if let Err(error) = written {
            self.give_back_bitmap_part(place, length);
            return Err(error);
        }
        Ok(place)
    }

    /// Gives back what was allocated for something that nothing refers to.
    pub(super) fn give_back_bitmap_part(&mut self, place: HostOffset, bytes: u64) {
        let first = self.geometry.host_cluster(place);
        let clusters = bytes.div_ceil(self.geometry.cluster_size());
        // At worst it leaks; the caller reports what failed first.
        self.free_clusters(first, clusters, FreeReason::Never);
    }

    /// Frees what the file no longer refers to. Like the real tool, only says so when a count is wrong.
    pub(super) fn free_bitmap_part(&mut self, place: HostOffset, bytes: u64, reason: FreeReason) {
        let first = self.geometry.host_cluster(place);
        let clusters = bytes.div_ceil(self.geometry.cluster_size());
        self.free_clusters(first, clusters, reason);
    }

    /// Frees a bitmap's data and its table.
    pub(super) fn free_bitmap(&mut self, entry: &DirectoryEntry) {
        let mut stored = Vec::new();
        // The table of an inconsistent bitmap was never looked at: what can't be understood leaks.
        let read = self.for_each_bitmap_cluster(entry, |_, cluster| {
            if let TableEntry::Stored(offset) = cluster {
                stored.push(offset);
            }
            Ok(())
        });
        if read.is_err() {
            return;
        }
        let cluster_size = self.geometry.cluster_size();
        for offset in stored {
            self.free_bitmap_part(offset, cluster_size, FreeReason::Always);
        }
        let table = u64::from(entry.table_entries) * 8;
        self.free_bitmap_part(entry.table_offset, table, FreeReason::Other);
    }

    /// Makes `entries` the image's bitmaps: writes their directory where it is free, then the header, then frees the
    /// old directory. Until the header is written, the old directory is the valid one.
    pub(super) fn switch_bitmap_directory(&mut self, entries: &[DirectoryEntry]) -> Result<()> {
        const REFUSED: &str = "Failed to update bitmap extension: ";
        let old = self.extensions.bitmaps;
        let old_autoclear = self.header.autoclear;
        let new = if entries.is_empty() {
            None
        } else {
            let bytes = directory::encode(entries);
            Some(BitmapsExtension {
                count: u32::try_from(entries.len()).map_err(|_| Error::eio())?,
                directory_bytes: bytes.len() as u64,
                directory_offset: self
                    .write_bitmap_part(&bytes, Area::BitmapDirectory)
                    .map_err(|error| error.prefixed(REFUSED))?,
            })
        };
        let switched = self.flush().and_then(|()| {
            self.extensions.bitmaps = new;
            let valid = new.is_some();
            self.header.autoclear.set(AutoclearFeatures::BITMAPS, valid);
            self.rewrite_header()?;
            self.file.flush()
        });
        if let Err(error) = switched {
            self.extensions.bitmaps = old;
            self.header.autoclear = old_autoclear;
            if let Some(new) = new {
                self.give_back_bitmap_part(new.directory_offset, new.directory_bytes);
            }
            return Err(error.prefixed(REFUSED));
        }
        if let Some(old) = old {
            self.free_bitmap_part(old.directory_offset, old.directory_bytes, FreeReason::Other);
        }
        Ok(())
    }
}
