//! L1 tables and what they reach, by all cores at once.

use std::num::NonZero;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::lines::{Kept, Lines};
use crate::base::{Error, HostOffset, Result};
use crate::format::qcow2::check::l2::{Fragmentation, compare_copied_flags, count_l2_table};
use crate::format::qcow2::check::{Finding, ReferenceCounts};
use crate::format::qcow2::{Geometry, HostCluster, L1Entry};
use crate::node::HostFile;

/// L1 entries whose tables are read before their findings are said.
const BATCH: usize = 256;
/// More threads than this read no faster.
const MAX_THREADS: usize = 8;

/// What a tree lies in.
pub(super) struct Place<'a> {
    pub(super) file: &'a HostFile,
    pub(super) geometry: Geometry,
}

impl Place<'_> {
    fn read_l2(&self, table: HostOffset) -> Result<Vec<u8>> {
        self.file.read_vec(table, self.geometry.cluster_bytes())
    }
}

/// Does `work` for `count` items on all cores; results in order.
fn in_parallel<T: Send>(count: usize, work: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let threads = threads.min(MAX_THREADS).min(count);
    if threads <= 1 {
        return (0..count).map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<Result<T>>>> = (0..count).map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(slot) = results.get(index) else {
                        break;
                    };
                    *slot.lock() = Some(work(index));
                }
            });
        }
    });
    results
        .into_iter()
        .map(|slot| slot.into_inner().unwrap_or_else(|| Err(Error::eio())))
        .collect()
}

/// The table that a check follows: any entry that is not zero has one, if only at offset 0.
fn followed(entry: L1Entry) -> Option<HostOffset> {
    (entry != L1Entry::EMPTY).then(|| entry.l2_table().unwrap_or(HostOffset::ZERO))
}

/// Most batches of a huge L1 table are like this: not worth any threads.
fn nothing_in(entries: &[L1Entry]) -> bool {
    entries.iter().all(|entry| *entry == L1Entry::EMPTY)
}

/// How often each entry's table is there: the number at its first place, 0 at the others.
///
/// Every entry of a huge L1 table may name the same L2 table; it is looked at once.
fn table_weights(l1: &[L1Entry]) -> Vec<u32> {
    let table = |index: u32| {
        usize::try_from(index)
            .ok()
            .and_then(|at| followed(*l1.get(at)?))
    };
    let count = u32::try_from(l1.len()).unwrap_or(u32::MAX);
    let mut order: Vec<u32> = (0..count).filter(|&index| table(index).is_some()).collect();
    order.sort_unstable_by_key(|&index| (table(index), index));
    let mut weights = vec![0; l1.len()];
    for same in order.chunk_by(|&a, &b| table(a) == table(b)) {
        let first = same.first().and_then(|&index| usize::try_from(index).ok());
        if let Some(weight) = first.and_then(|first| weights.get_mut(first)) {
            *weight = u32::try_from(same.len()).unwrap_or(u32::MAX);
        }
    }
    weights
}

/// What counting a tree gave.
#[derive(Default)]
pub(super) struct Counted {
    pub(super) fragmentation: Fragmentation,
    /// Tables with entries to mend.
    pub(super) to_mend: Vec<HostOffset>,
}

/// Counts an L1 table and everything it reaches. With `mending`, what [`Counted::to_mend`] names is going to be mended.
pub(super) fn count_tree(
    place: &Place<'_>,
    l1_offset: HostOffset,
    l1: &[L1Entry],
    counts: &ReferenceCounts,
    mending: bool,
    lines: &mut Lines<'_>,
) -> Result<Counted> {
    let mut total = Counted::default();
    counts.add_region(l1_offset.bytes(), l1.len() as u64 * 8, 1, &mut |f, n| {
        lines.corruption(&f, n);
    });
    let weights = table_weights(l1);
    let budget = AtomicU64::new(0);
    for (entries, weights) in l1.chunks(BATCH).zip(weights.chunks(BATCH)) {
        if nothing_in(entries) {
            continue;
        }
        let outcomes = in_parallel(entries.len(), |index| {
            let entry = entries.get(index).copied().unwrap_or_default();
            let weight = u64::from(weights.get(index).copied().unwrap_or(0));
            let mut kept = Kept::default();
            let (Some(table), 1..) = (followed(entry), weight) else {
                return Ok((Fragmentation::default(), kept));
            };
            let bytes = place.read_l2(table)?;
            let mut keep = |finding, times| kept.push(finding, times, &budget);
            let part = count_l2_table(
                &place.geometry,
                &bytes,
                counts,
                (weight, mending),
                &mut keep,
            );
            Ok((part, kept))
        });
        let outcomes =
            outcomes.inspect_err(|_| lines.say("ERROR: I/O error in check_refcounts_l2"))?;
        for ((entry, weight), (part, kept)) in entries.iter().zip(weights).zip(outcomes) {
            judge_l1_entry(&place.geometry, *entry, counts, lines);
            total.fragmentation.append(&part, u64::from(*weight));
            for (finding, times) in kept.list {
                if mending && matches!(finding, Finding::PreallocatedUnaligned { .. }) {
                    lines.repaired(&finding);
                    let table =
                        followed(*entry).filter(|table| total.to_mend.last() != Some(table));
                    total.to_mend.extend(table);
                } else {
                    lines.corruption(&finding, times);
                }
            }
            lines.report.corruptions += kept.uncounted;
        }
    }
    Ok(total)
}

fn judge_l1_entry(
    geometry: &Geometry,
    entry: L1Entry,
    counts: &ReferenceCounts,
    lines: &mut Lines<'_>,
) {
    let Some(table) = followed(entry) else {
        return;
    };
    if entry.reserved_bits() != 0 {
        let finding = Finding::ReservedL1Bits { entry: entry.raw() };
        lines.corruption(&finding, 1);
    }
    let offset = table.bytes();
    counts.add_region(offset, geometry.cluster_size(), 1, &mut |f, n| {
        lines.corruption(&f, n);
    });
    if !table.is_aligned(geometry.cluster_size()) {
        lines.corruption(&Finding::L2TableUnaligned { offset }, 1);
    }
}

/// Reports COPIED flags of the active tree that disagree with the stored counts.
pub(super) fn compare_tree_flags(
    place: &Place<'_>,
    l1: &[L1Entry],
    refcount: &(dyn Fn(u64) -> Option<u64> + Sync),
    lines: &mut Lines<'_>,
) -> Result<()> {
    let weights = table_weights(l1);
    let budget = AtomicU64::new(0);
    let batches = (0_u64..).step_by(BATCH).zip(l1.chunks(BATCH));
    for ((first, entries), weights) in batches.zip(weights.chunks(BATCH)) {
        if nothing_in(entries) {
            continue;
        }
        let outcomes = in_parallel(entries.len(), |index| {
            let mut kept = Kept::default();
            let entry = entries.get(index).copied().unwrap_or_default();
            let weight = u64::from(weights.get(index).copied().unwrap_or(0));
            let (Some(table), 1..) = (entry.l2_table(), weight) else {
                return Ok(kept);
            };
            if refcount(place.geometry.host_cluster(table).index()).is_none() {
                return Ok(kept);
            }
            let bytes = place.read_l2(table)?;
            let mut get = |cluster| refcount(cluster);
            compare_copied_flags(&place.geometry, &bytes, &mut get, &mut |_, finding| {
                kept.push(finding, weight, &budget);
            });
            Ok(kept)
        })?;
        for ((index, entry), kept) in (first..).zip(entries).zip(outcomes) {
            if let Some(finding) = l2_flag_finding(&place.geometry, index, *entry, refcount) {
                lines.corruption(&finding, 1);
            }
            for (finding, times) in kept.list {
                lines.corruption(&finding, times);
            }
            lines.report.corruptions += kept.uncounted;
        }
    }
    Ok(())
}

/// The flag of an L1 entry.
pub(super) fn l2_flag_finding(
    geometry: &Geometry,
    index: u64,
    entry: L1Entry,
    refcount: &dyn Fn(u64) -> Option<u64>,
) -> Option<Finding> {
    let table: HostCluster = geometry.host_cluster(entry.l2_table()?);
    let refcount = refcount(table.index())?;
    let entry_raw = entry.raw();
    ((refcount == 1) != entry.copied()).then_some(Finding::CopiedL2 {
        index,
        entry: entry_raw,
        refcount,
    })
}
