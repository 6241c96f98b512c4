//! From a guest range and the L2 table responsible for it to one run (qcow1 §3).

use super::entry::{Mapping, Misaligned};
use super::geometry::Geometry;
use crate::base::GuestOffset;

/// The longest run of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Guest bytes; a compressed cluster is a run of its own.
    pub length: u64,
    /// What is there: a normal mapping points at the first byte of the run, a compressed one describes the
    /// whole cluster.
    pub mapping: Mapping,
}

/// The run at `guest`, at most `length` bytes (not 0) and never past the L2 table's coverage.
///
/// `l2` is the table; `None` when its L1 entry is 0. An impossible entry is an error only for the run that
/// starts with it: one further on just ends the run before it.
pub fn lookup(
    geometry: &Geometry,
    l2: Option<&[u64]>,
    guest: GuestOffset,
    length: u64,
) -> Result<Run, Misaligned> {
    let covered = geometry.l1_entry_covers();
    let length = length.min(covered - guest.within(covered));
    let Some(l2) = l2 else {
        return Ok(Run {
            length,
            mapping: Mapping::Unallocated,
        });
    };
    let entries = l2.get(geometry.l2_index(guest)..).unwrap_or_default();
    let cluster = geometry.cluster_size();
    let within = geometry.within_cluster(guest);
    let mut decoded = entries.iter().map(|&e| Mapping::decode(e, geometry));
    let first = decoded.next().unwrap_or(Ok(Mapping::Unallocated))?;
    let mut run = cluster - within;
    if !matches!(first, Mapping::Compressed { .. }) {
        let mut expected = first;
        for next in decoded {
            if run >= length {
                break;
            }
            if let Mapping::Normal(host) = expected {
                expected = Mapping::Normal(host.saturating_plus(cluster));
            }
            if next != Ok(expected) {
                break;
            }
            run += cluster;
        }
    }
    let mapping = match first {
        Mapping::Normal(host) => Mapping::Normal(host.saturating_plus(within)),
        other => other,
    };
    Ok(Run {
        length: run.min(length),
        mapping,
    })
}

#[cfg(test)]
mod tests;
