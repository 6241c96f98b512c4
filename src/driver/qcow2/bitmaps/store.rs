//! Storing bitmaps when an image is closed.

use super::list::{Bitmap, Bitmaps, Content};
use crate::base::{Error, HostOffset, Result};
use crate::driver::qcow2::metadata::Metadata;
use crate::format::qcow2::bitmap::directory;
use crate::format::qcow2::bitmap::table::TableEntry;
use crate::format::qcow2::bitmap::{BitmapFlags, DirectoryEntry};
use crate::node::DirtyBits;

impl Metadata {
    /// Stores every bitmap anew, switches to the new directory, then frees what was stored before.
    pub(in crate::driver::qcow2) fn store_bitmaps(&mut self, bitmaps: &mut Bitmaps) -> Result<()> {
        if bitmaps.list.iter().all(Bitmap::is_inconsistent) {
            return Ok(());
        }
        let mut entries = Vec::with_capacity(bitmaps.list.len());
        let mut replaced = Vec::new();
        let mut fresh = Vec::new();
        for bitmap in &bitmaps.list {
            let Content::Loaded(bits) = &bitmap.content else {
                entries.extend(bitmap.stored.clone());
                continue;
            };
            match self.store_bitmap(bitmap, bits) {
                Ok(entry) => {
                    fresh.push(entry.clone());
                    entries.push(entry);
                    replaced.extend(bitmap.stored.clone());
                }
                Err(error) => {
                    self.forget_bitmaps(&fresh);
                    return Err(error);
                }
            }
        }
        if let Err(error) = self.switch_bitmap_directory(&entries) {
            self.forget_bitmaps(&fresh);
            return Err(error);
        }
        for entry in &replaced {
            self.free_bitmap(entry);
        }
        for (bitmap, entry) in bitmaps.list.iter_mut().zip(entries) {
            bitmap.stored = Some(entry);
        }
        self.flush()
    }

    /// Frees bitmaps that were stored for a directory that could not be written.
    fn forget_bitmaps(&mut self, entries: &[DirectoryEntry]) {
        if !self.dead {
            for entry in entries {
                self.free_bitmap(entry);
            }
        }
    }

    /// Writes clusters that hold a bit, and the table.
    fn store_bitmap(&mut self, bitmap: &Bitmap, bits: &DirtyBits) -> Result<DirectoryEntry> {
        let cluster_size = self.geometry.cluster_size();
        let count = directory::table_entries(bits.size(), bitmap.granularity_bits, cluster_size);
        if count == 0 {
            // A disk without a byte has no table. The real tool fails here too, in these words.
            return Err(Error::caller("No memory"));
        }
        let mut table = Vec::new();
        let mut stored = Vec::new();
        let name = bitmap.text();
        let written = self.write_bitmap_data(&name, bits, count, &mut table, &mut stored);
        let outcome = written.and_then(|()| self.write_part_of_bitmap(&name, &table));
        match outcome {
            Ok(table_offset) => Ok(DirectoryEntry {
                table_offset,
                table_entries: u32::try_from(count).map_err(|_| Error::eio())?,
                flags: if bitmap.enabled {
                    BitmapFlags::ENABLED
                } else {
                    BitmapFlags::empty()
                },
                granularity_bits: bitmap.granularity_bits,
                name: bitmap.name.clone(),
            }),
            Err(error) => {
                for offset in stored {
                    self.give_back_bitmap_part(offset, cluster_size);
                }
                Err(error)
            }
        }
    }

    fn write_bitmap_data(
        &mut self,
        name: &str,
        bits: &DirtyBits,
        count: u64,
        table: &mut Vec<u8>,
        stored: &mut Vec<HostOffset>,
    ) -> Result<()> {
        let length = self.geometry.cluster_bytes();
        for index in 0..count {
            let entry = match bits.bytes(index * length as u64, length) {
                None => TableEntry::Zeros,
                Some(bytes) => {
                    let offset = self.write_part_of_bitmap(name, &bytes)?;
                    stored.push(offset);
                    TableEntry::Stored(offset)
                }
            };
            table.extend(entry.raw().to_be_bytes());
        }
        Ok(())
    }
}
