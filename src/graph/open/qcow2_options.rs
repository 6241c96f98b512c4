//! The run-time options of qcow2.

use crate::base::{Error, Result};
use crate::driver::qcow2::Qcow2OpenOptions;
use crate::graph::OptionTree;

/// The checks that `overlap-check.NAME` switches one by one.
const OVERLAP_PARTS: [&str; 9] = [
    "main-header",
    "active-l1",
    "active-l2",
    "refcount-table",
    "refcount-block",
    "snapshot-table",
    "inactive-l1",
    "inactive-l2",
    "bitmap-directory",
];

/// More than the L2 tables of any disk that can be tested.
const MOST_FOR_L2: u64 = 1 << 40;

/// Takes the options out of `tree`.
pub(super) fn take(tree: &mut OptionTree) -> Result<Qcow2OpenOptions> {
    let lazy_refcounts = tree.take_switch("lazy-refcounts")?;
    let pass_discard_request = tree.take_switch("pass-discard-request")?;
    let pass_discard_snapshot = tree.take_switch("pass-discard-snapshot")?;
    let pass_discard_other = tree.take_switch("pass-discard-other")?;
    let discard_no_unref = tree.take_switch("discard-no-unref")?.unwrap_or(false);
    let (overlap_check, overlap_parts) = take_overlap_check(tree)?;
    let l2_cache_entry_size = tree.take_size("l2-cache-entry-size")?;
    let (l2_cache_size, refcount_cache_size) = take_caches(tree)?;
    Ok(Qcow2OpenOptions {
        lazy_refcounts,
        pass_discard_request,
        pass_discard_snapshot,
        pass_discard_other,
        discard_no_unref,
        overlap_check,
        overlap_parts,
        l2_cache_size,
        l2_cache_entry_size,
        refcount_cache_size,
        ..Qcow2OpenOptions::default()
    })
}

/// The set to start from, and what is switched one by one.
type OverlapChoice = (Option<String>, Vec<(&'static str, bool)>);

fn take_overlap_check(tree: &mut OptionTree) -> Result<OverlapChoice> {
    let short = tree.take_text("overlap-check");
    let long = tree.take_text("overlap-check.template");
    let chosen = match (short, long) {
        (Some(short), Some(long)) if short != long => {
            return Err(Error::caller(format!(
                "Conflicting values for qcow2 options 'overlap-check' ('{short}') and 'overlap-check.template' ('{long}')"
            )));
        }
        (short, long) => short.or(long),
    };
    let mut parts = Vec::new();
    for part in OVERLAP_PARTS {
        let switch = tree.take_switch(&format!("overlap-check.{part}"))?;
        parts.extend(switch.map(|on| (part, on)));
    }
    Ok((chosen, parts))
}

/// Sizes of the L2 and the refcount cache.
fn take_caches(tree: &mut OptionTree) -> Result<(Option<u64>, Option<u64>)> {
    let both = tree.take_size("cache-size")?;
    let l2 = tree.take_size("l2-cache-size")?;
    let refcounts = tree.take_size("refcount-cache-size")?;
    let interval = tree.take_number("cache-clean-interval")?;
    if interval.is_some_and(|seconds| u32::try_from(seconds).is_err()) {
        return Err(Error::caller("Cache clean interval too big"));
    }
    match (both, l2, refcounts) {
        (Some(_), Some(_), Some(_)) => Err(Error::caller(
            "cache-size, l2-cache-size and refcount-cache-size may not be set at the same time",
        )),
        (Some(both), Some(l2), _) if l2 > both => {
            Err(Error::caller("l2-cache-size may not exceed cache-size"))
        }
        (Some(both), _, Some(refcounts)) if refcounts > both => Err(Error::caller(
            "refcount-cache-size may not exceed cache-size",
        )),
        (Some(both), Some(l2), None) => Ok((Some(l2), Some(both - l2))),
        (Some(both), None, Some(refcounts)) => Ok((Some(both - refcounts), Some(refcounts))),
        // The L2 cache needs no more than the tables there are; the refcounts get the rest.
        (Some(both), None, None) => Ok((Some(both), (both > MOST_FOR_L2).then_some(both))),
        (None, l2, refcounts) => Ok((l2, refcounts)),
    }
}
