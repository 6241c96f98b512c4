//! Stored counts against counted references.

use std::ops::Range;

use super::counts::{FrozenCounts, SEGMENT};
use crate::format::qcow2::{Geometry, refcount};

/// Compares the clusters `range`, all covered by one refcount block (`None`: there is no block, all counts are 0).
/// Calls `differs` with cluster, stored and counted value. Gives the last cluster that either side has in use.
pub fn compare_block(
    geometry: &Geometry,
    block: Option<&[u8]>,
    range: Range<u64>,
    counts: &FrozenCounts,
    differs: &mut dyn FnMut(u64, u64, u64),
) -> Option<u64> {
    let per_block = geometry.refcount_block_entries();
    let mut last = None;
    let mut first = range.start;
    while first < range.end {
        let end = (first / SEGMENT + 1).saturating_mul(SEGMENT).min(range.end);
        let piece = first..end;
        let used = match (counts.bytes(&piece), block) {
            (Some(&[]), None) => None,
            (Some(bytes), Some(block)) if geometry.refcount_order() == 4 => {
                match agreeing(bytes, block, first & (per_block - 1), end - first) {
                    Some(used) => used.map(|used| first + used),
                    None => compare_slowly(geometry, Some(block), piece, counts, differs),
                }
            }
            _ => compare_slowly(geometry, block, piece, counts, differs),
        };
        last = used.or(last);
        first = end;
    }
    last
}

/// The usual width at full speed: when all counts agree, the last one in use.
#[expect(
    clippy::option_option,
    reason = "whether they agree, then which one was last"
)]
fn agreeing(counts: &[u8], block: &[u8], first: u64, length: u64) -> Option<Option<u64>> {
    let start = usize::try_from(first).ok()?.checked_mul(2)?;
    let length = usize::try_from(length).ok()?;
    let stored = block.get(start..start.checked_add(length * 2)?)?;
    if counts.is_empty() {
        return stored.iter().all(|&byte| byte == 0).then_some(None);
    }
    let (stored, _) = stored.as_chunks::<2>();
    let equal = stored
        .iter()
        .zip(counts)
        .all(|(stored, &counted)| *stored == u16::from(counted).to_be_bytes());
    equal.then(|| {
        counts
            .iter()
            .rposition(|&count| count != 0)
            .map(|at| at as u64)
    })
}

fn compare_slowly(
    geometry: &Geometry,
    block: Option<&[u8]>,
    range: Range<u64>,
    counts: &FrozenCounts,
    differs: &mut dyn FnMut(u64, u64, u64),
) -> Option<u64> {
    let per_block = geometry.refcount_block_entries();
    let mut last = None;
    for cluster in range {
        let index = usize::try_from(cluster & (per_block - 1)).unwrap_or(usize::MAX);
        let stored = block.and_then(|block| refcount::read(geometry, block, index));
        let stored = stored.unwrap_or(0);
        let counted = counts.count(cluster);
        if stored != 0 || counted != 0 {
            last = Some(cluster);
        }
        if stored != counted {
            differs(cluster, stored, counted);
        }
    }
    last
}

#[cfg(test)]
mod tests;
