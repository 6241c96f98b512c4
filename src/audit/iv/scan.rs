//! The whole file, whatever its tables say: what was written must not be seen anywhere in it.

use crate::base::{HostOffset, Result};
use crate::node::HostFile;

/// Bytes read at a time.
const PIECE: usize = 1 << 20;
/// A run of one byte that is no chance and no table.
const RUN: usize = 256;
/// Places that are told.
const PLACES_MAX: usize = 4;

/// Places where one byte, not zero, stands over and over.
pub(super) fn repeated_bytes(file: &HostFile) -> Result<Vec<(u64, u8)>> {
    let mut found = Vec::new();
    let length = file.length()?;
    let mut at = 0;
    while at < length && found.len() < PLACES_MAX {
        let extent = file.extent(HostOffset::new(at), length - at)?;
        let end = at.saturating_add(extent.length.max(1)).min(length);
        if !extent.data {
            at = end;
            continue;
        }
        let size = usize::try_from(end - at).map_or(PIECE, |rest| rest.min(PIECE));
        let bytes = file.read_vec(HostOffset::new(at), size)?;
        for (place, run) in (at..).step_by(RUN).zip(bytes.chunks_exact(RUN)) {
            if let Some(byte) = run.first().filter(|byte| **byte != 0)
                && run.iter().all(|other| other == byte)
                && found.len() < PLACES_MAX
            {
                found.push((place, *byte));
            }
        }
        at += size as u64;
    }
    Ok(found)
}
