//! `convert --bitmaps`.

use super::super::failure::Failure;
use super::super::session::Session;
use super::options::Options;
use crate::base::{Error, Result};
use crate::node::{BitmapChange, BitmapInfo, SharedNode};

/// The bitmaps to copy, the newest first. An inconsistent one is refused, or left out with a warning later.
pub(super) fn chosen(options: &Options, nodes: &[SharedNode]) -> Result<Vec<BitmapInfo>, Failure> {
    if !options.bitmaps {
        return Ok(Vec::new());
    }
    let [node] = nodes else {
        return Err(Failure::words(
            "Copying bitmaps only possible with single source",
        ));
    };
    if !node.supports_bitmaps() {
        return Err(Failure::words("Source lacks bitmap support"));
    }
    let mut bitmaps = node.bitmaps();
    bitmaps.reverse();
    let broken = bitmaps.iter().find(|bitmap| bitmap.inconsistent);
    match broken {
        Some(bitmap) if !options.skip_broken_bitmaps => Err(Error::caller(format!(
            "Cannot copy inconsistent bitmap '{}'",
            bitmap.name
        ))
        .with_hint("Try --skip-broken-bitmaps, or use 'qemu-img bitmap --remove' to delete it")
        .into()),
        _ => Ok(bitmaps),
    }
}

/// Refuses a target that can't store bitmaps.
pub(super) fn check_target(options: &Options, target: &SharedNode) -> Result<(), Failure> {
    if !options.bitmaps || target.supports_bitmaps() {
        return Ok(());
    }
    Err(Failure::words(format!(
        "Format driver '{}' does not support bitmaps",
        target.driver()
    )))
}

/// Copies bitmaps behind the data. Copying did not mark them: they are made only now.
pub(super) fn copy(
    session: &Session,
    bitmaps: &[BitmapInfo],
    source: &SharedNode,
    target: &SharedNode,
) -> Result<(), Failure> {
    for bitmap in bitmaps {
        let name = &bitmap.name;
        if bitmap.inconsistent {
            session.warn(&format!("Skipping inconsistent bitmap '{name}'"));
            continue;
        }
        target
            .bitmap_add(name, Some(bitmap.granularity), false)
            .map_err(|error| error.prefixed(format!("Failed to create bitmap {name}: ")))?;
        if let Err(error) = populate(bitmap, source, target) {
            // A bitmap with the wrong content is worse than none.
            target.bitmap_remove(name)?;
            return Err(error
                .prefixed(format!("Failed to populate bitmap {name}: "))
                .into());
        }
    }
    Ok(())
}

fn populate(bitmap: &BitmapInfo, source: &SharedNode, target: &SharedNode) -> Result<()> {
    let name = &bitmap.name;
    target.bitmap_merge(name, &source.bitmap_bits(name)?)?;
    if bitmap.enabled {
        target.bitmap_change(name, BitmapChange::Enable)?;
    }
    Ok(())
}
