//! Loading bitmaps when an image is opened.

use std::collections::HashSet;

use super::list::{Bitmap, Bitmaps, Content};
use crate::base::limits::{QCOW2_MAX_BITMAP_BYTES_TOTAL, QCOW2_MAX_BITMAP_ENTRIES_TOTAL};
use crate::base::{Error, Result};
use crate::driver::qcow2::metadata::Metadata;
use crate::driver::qcow2::overlap::Area;
use crate::format::qcow2::bitmap::directory::{self, DirectoryEntry};
use crate::format::qcow2::bitmap::table::TableEntry;
use crate::format::qcow2::bitmap::{BitmapError, BitmapFlags};
use crate::format::qcow2::header::AutoclearFeatures;
use crate::node::DirtyBits;

/// A program without support for bitmaps wrote to the image.
const STALE: &str = "warning: a program lacking bitmap support modified this file, so all bitmaps are now considered inconsistent";
/// Version 2 has no bit that would tell.
const STALE_V2: &str = "warning: This qcow2 v2 image contains bitmaps, but they may have been modified by a program without persistent bitmap support; so now they must all be considered inconsistent";
const STALE_HINT: &str =
    "Some clusters may be leaked, run 'qemu-img check -r' on the image file to fix.";

impl Metadata {
    /// Reads the directory and every table; the data too when the image is open for writing.
    pub(in crate::driver::qcow2) fn load_bitmaps(&mut self) -> Result<Bitmaps> {
        self.warn_of_stale_bitmaps();
        let Some(place) = self.extensions.bitmaps else {
            return Ok(Bitmaps::default());
        };
        let entries = self.read_bitmap_directory(&place)?;
        let tables: u64 = entries.iter().map(|e| u64::from(e.table_entries)).sum();
        if tables > QCOW2_MAX_BITMAP_ENTRIES_TOTAL {
            return Err(Error::unsupported(
                "The tables of the image's bitmaps are too large",
            ));
        }
        let mut names = HashSet::new();
        let mut loaded_bytes = 0;
        let mut list = Vec::with_capacity(entries.len());
        for entry in entries {
            if !names.insert(entry.name.clone()) {
                return Err(BitmapError::Duplicate(entry.text()).into());
            }
            let content = self.load_content(&entry, &mut loaded_bytes)?;
            list.push(Bitmap {
                name: entry.name.clone(),
                granularity_bits: entry.granularity_bits,
                enabled: entry.flags.contains(BitmapFlags::ENABLED),
                content,
                stored: Some(entry),
            });
        }
        Ok(Bitmaps { list })
    }

    fn warn_of_stale_bitmaps(&self) {
        if !self.extensions.stale_bitmaps {
            return;
        }
        let words = if self.header.version < 3 {
            STALE_V2
        } else {
            STALE
        };
        self.notices.say_with_tail(words, STALE_HINT);
    }

    fn load_content(&self, entry: &DirectoryEntry, loaded_bytes: &mut u64) -> Result<Content> {
        if entry.flags.contains(BitmapFlags::IN_USE) {
            return Ok(Content::Inconsistent);
        }
        let cluster_size = self.geometry.cluster_size();
        let mut stored = 0;
        self.for_each_bitmap_cluster(entry, |_, cluster| {
            stored += u64::from(cluster != TableEntry::Zeros);
            Ok(())
        })?;
        let needed = directory::table_entries(self.size, entry.granularity_bits, cluster_size);
        if needed != u64::from(entry.table_entries) {
            return Err(BitmapError::TableLength(entry.text()).into());
        }
        if !self.writable {
            return Ok(Content::InFile);
        }
        *loaded_bytes += stored * cluster_size;
        if *loaded_bytes > QCOW2_MAX_BITMAP_BYTES_TOTAL {
            return Err(Error::unsupported("The image's bitmaps are too large"));
        }
        Ok(Content::Loaded(self.read_bitmap(entry)?))
    }

    /// The content of a bitmap in the file.
    pub(super) fn read_bitmap(&self, entry: &DirectoryEntry) -> Result<DirtyBits> {
        let cluster_bytes = self.geometry.cluster_bytes();
        let mut bits = DirtyBits::new(self.size, entry.granularity_bits);
        self.for_each_bitmap_cluster(entry, |index, cluster| {
            let bytes = match cluster {
                TableEntry::Zeros => return Ok(()),
                TableEntry::Ones => vec![0xff; cluster_bytes],
                TableEntry::Stored(offset) => self.file.read_vec(offset, cluster_bytes)?,
            };
            bits.set_bytes(index * cluster_bytes as u64, &bytes);
            Ok(())
        })
        .map_err(|error| {
            error.prefixed_when_bare(format!(
                "Could not read bitmap '{}' from image: ",
                entry.text()
            ))
        })?;
        Ok(bits)
    }

    /// Marks bitmaps in the file as in use, in place: until they are stored again, what the file holds is out of
    /// date. The autoclear bit is clear while the directory changes.
    pub(in crate::driver::qcow2) fn mark_bitmaps_in_use(
        &mut self,
        bitmaps: &mut Bitmaps,
    ) -> Result<()> {
        let Some(place) = self.extensions.bitmaps else {
            return Ok(());
        };
        if bitmaps.list.iter().all(Bitmap::is_inconsistent) {
            return Ok(());
        }
        bitmaps.set_in_use();
        let bytes = directory::encode(bitmaps.stored());
        if bytes.len() as u64 != place.directory_bytes {
            return Err(Error::invalid("Broken bitmap directory"));
        }
        self.header.autoclear -= AutoclearFeatures::BITMAPS;
        self.rewrite_header()?;
        self.file.flush()?;
        let offset = place.directory_offset;
        self.guard_write(offset, bytes.len() as u64, Area::BitmapDirectory)?;
        self.file.write_at(offset, &bytes)?;
        self.file.flush()?;
        self.header.autoclear |= AutoclearFeatures::BITMAPS;
        self.rewrite_header()?;
        self.file.flush()
    }
}
