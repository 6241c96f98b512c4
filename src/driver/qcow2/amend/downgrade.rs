//! From version 3 to version 2.

use crate::base::{Error, Result};
use crate::driver::qcow2::metadata::Metadata;
use crate::format::qcow2::header::{
    AutoclearFeatures, CompatibleFeatures, CompressionType, IncompatibleFeatures, V2_HEADER_BYTES,
};
use crate::format::qcow2::{Cluster, L1Entry, l2_entry};

/// Snapshots of version 2 hold 32 bits of VM state size.
const VM_STATE_MAX: u64 = u32::MAX as u64;

impl Metadata {
    /// Refuses what version 2 has no words for; afterwards all bits but the compression type's are clear.
    pub(super) fn settle_for_downgrade(&mut self) -> Result<()> {
        if self.header.refcount_order != 4 {
            return Err(Error::caller("compat=0.10 requires refcount_bits=16"));
        }
        if self
            .header
            .incompatible
            .contains(IncompatibleFeatures::DATA_FILE)
        {
            return Err(Error::caller("Cannot downgrade an image with a data file"));
        }
        let size = self.size;
        let tied = self.snapshots.iter().any(|snapshot| {
            snapshot.vm_state_size > VM_STATE_MAX
                || snapshot.disk_size.is_some_and(|disk| disk != size)
        });
        if tied {
            return Err(Error::caller(
                "Internal snapshots prevent downgrade of image",
            ));
        }
        self.mark_clean()?;
        self.lazy_refcounts = false;
        let left = self.header.incompatible - IncompatibleFeatures::COMPRESSION_TYPE;
        if !left.is_empty() {
            return Err(Error::caller(format!(
                "Cannot downgrade an image with incompatible features {:#x} set",
                left.bits()
            )));
        }
        if self.header.validate_compression()? != CompressionType::Zlib && self.has_compressed()? {
            return Err(Error::caller(
                "Cannot downgrade an image with zstd compression type and existing compressed clusters",
            ));
        }
        Ok(())
    }

    /// Whether any state has a compressed cluster.
    fn has_compressed(&mut self) -> Result<bool> {
        self.flush_all()?;
        for l1 in self.all_l1_tables()? {
            for (index, entry) in (0..).zip(l1) {
                let Some(table) = self.checked_table(entry, index)? else {
                    continue;
                };
                let bytes = self.read_l2(table)?;
                let mut at = 0;
                while let Some(entry) = l2_entry::read(&self.geometry, &bytes, at) {
                    if matches!(entry.cluster(&self.geometry), Cluster::Compressed(_)) {
                        return Ok(true);
                    }
                    at += 1;
                }
            }
        }
        Ok(false)
    }

    /// The active L1 table and all snapshots'.
    pub(super) fn all_l1_tables(&self) -> Result<Vec<Vec<L1Entry>>> {
        let mut tables = vec![self.l1.clone()];
        for snapshot in &self.snapshots {
            self.validate_snapshot_l1(snapshot)?;
            tables.push(self.read_snapshot_l1(snapshot)?);
        }
        Ok(tables)
    }

    /// Writes the shorter header. Bitmaps stay, though version 2 has no bit that would say that they are valid: from now
    /// on they count as out of date.
    pub(super) fn become_version_2(&mut self) -> Result<()> {
        self.change_header(|header| {
            header.version = 2;
            header.header_length = V2_HEADER_BYTES;
            header.incompatible = IncompatibleFeatures::empty();
            header.compatible = CompatibleFeatures::empty();
            header.autoclear = AutoclearFeatures::empty();
            header.compression_byte = 0;
            header.unknown_tail.clear();
        })
    }
}
