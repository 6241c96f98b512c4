//! The bitmap directory.

use bitflags::bitflags;

use super::error::BitmapError;
use crate::base::HostOffset;
use crate::base::bytes::Reader;
use crate::base::limits::{
    QCOW2_BITMAP_GRANULARITY_BITS, QCOW2_MAX_BITMAP_DATA_BYTES, QCOW2_MAX_BITMAP_NAME_BYTES,
    QCOW2_MAX_BITMAP_TABLE_ENTRIES,
};
use crate::format::qcow2::Geometry;

bitflags! {
    /// Flags of a bitmap. The specification's third one is refused like an unknown one (errata 40).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct BitmapFlags: u32 {
        /// What is stored is out of date: a writer has the image open, or did not close it.
        const IN_USE = 1;
        /// Writes are recorded ("auto").
        const ENABLED = 1 << 1;
    }
}

/// The only type there is: dirty tracking.
const DIRTY_TRACKING: u8 = 1;
/// Bytes of an entry before extra data and name.
const FIXED_BYTES: usize = 24;

/// One bitmap of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// Where the bitmap's table is.
    pub table_offset: HostOffset,
    /// Entries of the table.
    pub table_entries: u32,
    /// Flags.
    pub flags: BitmapFlags,
    /// A bit stands for `1 << granularity_bits` bytes.
    pub granularity_bits: u32,
    /// The name, up to its first NUL.
    pub name: Vec<u8>,
}

/// Bytes of the entry of a bitmap with a name of that length.
pub const fn entry_bytes(name_length: usize) -> usize {
    (FIXED_BYTES + name_length).next_multiple_of(8)
}

/// Entries of the table of a bitmap.
pub fn table_entries(size: u64, granularity_bits: u32, cluster_size: u64) -> u64 {
    size.div_ceil(1 << granularity_bits)
        .div_ceil(8)
        .div_ceil(cluster_size)
}

/// Reads `count` entries, for a disk of `size` bytes.
pub fn parse(
    bytes: &[u8],
    count: u32,
    geometry: &Geometry,
    size: u64,
) -> Result<Vec<DirectoryEntry>, BitmapError> {
    let mut reader = Reader::new(bytes);
    let mut entries = Vec::new();
    while reader.remaining() > 0 {
        if entries.len() as u64 >= u64::from(count) {
            return Err(BitmapError::MoreThanCounted);
        }
        entries.push(parse_entry(&mut reader, geometry, size)?);
    }
    if entries.len() as u64 != u64::from(count) {
        return Err(BitmapError::FewerThanCounted);
    }
    Ok(entries)
}

fn parse_entry(
    reader: &mut Reader<'_>,
    geometry: &Geometry,
    size: u64,
) -> Result<DirectoryEntry, BitmapError> {
    let broken = |_| BitmapError::DirectoryBroken;
    let table_offset = HostOffset::new(reader.u64().map_err(broken)?);
    let table_entries = reader.u32().map_err(broken)?;
    let flags = reader.u32().map_err(broken)?;
    let kind = reader.u8().map_err(broken)?;
    let granularity_bits = u32::from(reader.u8().map_err(broken)?);
    let name_length = reader.u16().map_err(broken)?;
    let extra_bytes = reader.u32().map_err(broken)?;
    // The real tool's sum of an entry's length wraps: such an entry is not found to be too long.
    let Ok(extra) = i32::try_from(extra_bytes).and_then(usize::try_from) else {
        return Err(BitmapError::ExtraData);
    };
    reader.take(extra).map_err(broken)?;
    let stored_name = reader.take(usize::from(name_length)).map_err(broken)?;
    let length = FIXED_BYTES + extra + usize::from(name_length);
    let padding = length.next_multiple_of(8) - length;
    reader.take(padding).map_err(broken)?;
    if extra_bytes != 0 {
        return Err(BitmapError::ExtraData);
    }
    let name = stored_name
        .split(|&byte| byte == 0)
        .next()
        .unwrap_or_default()
        .to_vec();
    let entry = DirectoryEntry {
        table_offset,
        table_entries,
        flags: BitmapFlags::from_bits_retain(flags),
        granularity_bits,
        name,
    };
    if kind == DIRTY_TRACKING && entry.is_acceptable(name_length, geometry, size) {
        Ok(entry)
    } else {
        Err(BitmapError::Constraints(entry.text()))
    }
}

impl DirectoryEntry {
    /// The name for people.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }

    /// Numbers within their limits, and a table that is large enough for the disk.
    fn is_acceptable(&self, name_length: u16, geometry: &Geometry, size: u64) -> bool {
        let cluster_size = geometry.cluster_size();
        let data = u64::from(self.table_entries).saturating_mul(cluster_size);
        let limits = self.table_entries != 0
            && self.table_entries <= QCOW2_MAX_BITMAP_TABLE_ENTRIES
            && self.table_offset != HostOffset::ZERO
            && self.table_offset.is_aligned(cluster_size)
            && (1..=QCOW2_MAX_BITMAP_NAME_BYTES).contains(&name_length)
            && QCOW2_BITMAP_GRANULARITY_BITS.contains(&self.granularity_bits)
            && (self.flags - BitmapFlags::all()).is_empty()
            && data <= QCOW2_MAX_BITMAP_DATA_BYTES;
        limits
            && (self.flags.contains(BitmapFlags::IN_USE)
                || table_entries(size, self.granularity_bits, cluster_size)
                    <= u64::from(self.table_entries))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.table_offset.bytes().to_be_bytes());
        out.extend(self.table_entries.to_be_bytes());
        out.extend(self.flags.bits().to_be_bytes());
        out.push(DIRTY_TRACKING);
        // Both were checked against their limits when the bitmap was read or made.
        out.push(u8::try_from(self.granularity_bits).unwrap_or(u8::MAX));
        let length = u16::try_from(self.name.len()).unwrap_or(u16::MAX);
        out.extend(length.to_be_bytes());
        out.extend([0; 4]);
        out.extend(&self.name);
        out.resize(out.len().next_multiple_of(8), 0);
    }
}

/// The directory's bytes.
pub fn encode<'a>(entries: impl IntoIterator<Item = &'a DirectoryEntry>) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in entries {
        entry.encode(&mut out);
    }
    out
}

#[cfg(test)]
mod tests;
