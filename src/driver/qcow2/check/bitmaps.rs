//! The clusters of bitmaps.

use super::lines::Lines;
use crate::base::{Error, Result};
use crate::driver::qcow2::metadata::Metadata;
use crate::format::qcow2::bitmap::table::TableEntry;
use crate::format::qcow2::check::ReferenceCounts;

impl Metadata {
    /// Counts the directory, the tables and the data of bitmaps.
    pub(super) fn count_bitmaps(
        &self,
        counts: &ReferenceCounts,
        lines: &mut Lines<'_>,
    ) -> Result<()> {
        let Some(place) = self.extensions.bitmaps else {
            return Ok(());
        };
        let cluster_size = self.geometry.cluster_size();
        let mut count = |offset: u64, bytes: u64| {
            counts.add_region(offset, bytes, 1, &mut |f, n| lines.corruption(&f, n));
        };
        count(place.directory_offset.bytes(), place.directory_bytes);
        for entry in self.read_bitmap_directory(&place)? {
            count(
                entry.table_offset.bytes(),
                u64::from(entry.table_entries) * 8,
            );
            self.for_each_bitmap_cluster(&entry, |_, cluster| {
                if let TableEntry::Stored(offset) = cluster {
                    count(offset.bytes(), cluster_size);
                }
                Ok(())
            })
            // Only the errno is told.
            .map_err(|error| Error::bare(error.errno()))?;
        }
        Ok(())
    }
}
