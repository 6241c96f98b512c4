//! Arrays of reference counts, 1 to 64 bits wide (qcow2 §4).

use super::geometry::Geometry;

/// The count at `index` of a refcount block; `None` past its end.
///
/// Widths of whole bytes are big-endian; narrower ones fill each byte from its least significant bit.
pub fn read(geometry: &Geometry, block: &[u8], index: usize) -> Option<u64> {
    let order = geometry.refcount_order();
    if order < 3 {
        let bit = index << order;
        let byte = *block.get(bit >> 3)?;
        let mask = (1u8 << (1 << order)).wrapping_sub(1);
        return Some(u64::from((byte >> (bit & 7)) & mask));
    }
    let width = 1usize << (order - 3);
    let start = index.checked_mul(width)?;
    let bytes = block.get(start..start.checked_add(width)?)?;
    Some(
        bytes
            .iter()
            .fold(0u64, |value, byte| (value << 8) | u64::from(*byte)),
    )
}

/// Stores a count; false past the block's end or when `value` does not fit the width.
#[expect(
    clippy::cast_possible_truncation,
    reason = "checked against the width first; whole-byte widths take the low bytes on purpose"
)]
pub fn write(geometry: &Geometry, block: &mut [u8], index: usize, value: u64) -> bool {
    if value > geometry.refcount_max() {
        return false;
    }
    let order = geometry.refcount_order();
    if order < 3 {
        let bit = index << order;
        let Some(byte) = block.get_mut(bit >> 3) else {
            return false;
        };
        let mask = (1u8 << (1 << order)).wrapping_sub(1);
        *byte = (*byte & !(mask << (bit & 7))) | ((value as u8) << (bit & 7));
        return true;
    }
    let width = 1usize << (order - 3);
    let range = index
        .checked_mul(width)
        .and_then(|start| Some(start..start.checked_add(width)?));
    let Some(bytes) = range.and_then(|range| block.get_mut(range)) else {
        return false;
    };
    let big_endian = value.to_be_bytes();
    bytes.copy_from_slice(big_endian.get(8 - width..).unwrap_or_default());
    true
}

/// The bytes of a block that hold the counts `first..first+count`, for tracking what changed.
pub fn byte_range(geometry: &Geometry, first: usize, count: usize) -> std::ops::Range<usize> {
    let order = geometry.refcount_order();
    let start = (first << order) >> 3;
    let end = ((first.saturating_add(count)) << order).div_ceil(8);
    start..end
}

/// The first index at or after `from` whose count is zero.
pub fn next_free(geometry: &Geometry, block: &[u8], from: usize) -> Option<usize> {
    // The usual width, without the general decoder: scanning is what a full image's first allocation does.
    if geometry.refcount_order() == 4 {
        let tail = block.get(from.checked_mul(2)?..)?;
        let position = tail.chunks_exact(2).position(|pair| pair == [0, 0])?;
        return Some(from + position);
    }
    let entries = usize::try_from(geometry.refcount_block_entries()).ok()?;
    (from..entries).find(|index| read(geometry, block, *index) == Some(0))
}

/// The first index at or after `from` whose count is not zero.
pub fn next_used(geometry: &Geometry, block: &[u8], from: usize) -> Option<usize> {
    let entries = usize::try_from(geometry.refcount_block_entries()).ok()?;
    (from..entries).find(|index| read(geometry, block, *index).is_some_and(|count| count != 0))
}

#[cfg(test)]
mod tests;
