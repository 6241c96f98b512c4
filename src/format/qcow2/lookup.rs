//! From a guest range to what lies there, without a disk: a mapping is a value, the driver's I/O carries it out.

use super::compressed_descriptor::CompressedDescriptor;
use super::geometry::Geometry;
use super::l1_entry::L1Entry;
use super::l2_entry::{self, Cluster};
use super::subcluster::Subcluster;
use crate::base::{GuestOffset, HostOffset};

/// The tables as far as they are in memory.
pub trait Tables {
    /// An L1 entry; empty past the table's end.
    fn l1_entry(&self, index: u64) -> L1Entry;
    /// The bytes of the L2 table at that place, when loaded.
    fn l2_table(&self, offset: HostOffset) -> Option<&[u8]>;
}

/// What a run of guest bytes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// The backing file's, or zeros; the host position of the first byte when clusters are kept for it.
    Unallocated(Option<HostOffset>),
    /// Zeros; the host position of the first byte when clusters are kept for it.
    Zero(Option<HostOffset>),
    /// Data, contiguous in the file from the first byte's position on.
    Data(HostOffset),
    /// (Part of) one compressed cluster.
    Compressed(CompressedDescriptor),
}

/// A run of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Bytes from the offset asked for.
    pub length: u64,
    /// What they are.
    pub mapping: Mapping,
}

/// A number as the real tools' messages show it: hexadecimal, with a prefix unless it is zero.
#[derive(Clone, Copy, Debug)]
pub struct Hex(pub u64);

impl std::fmt::Display for Hex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 == 0 {
            f.write_str("0")
        } else {
            write!(f, "{:#x}", self.0)
        }
    }
}

/// A mapping that breaks the format's rules; the words are the real tool's (qcow2 §12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Corruption {
    /// An L1 entry's offset.
    #[error("L2 table offset {} unaligned (L1 index: {})", Hex(*offset), Hex(*l1_index))]
    L2TableUnaligned {
        /// The offset.
        offset: u64,
        /// The entry's index.
        l1_index: u64,
    },
    /// An L2 entry's offset.
    #[error(
"Cluster allocation offset {} unaligned (L2 offset: {}, L2 index: {})",
Hex(*offset), Hex(*l2_table), Hex(*l2_index as u64)
)]
    ClusterUnaligned {
        /// The offset.
        offset: u64,
        /// The table.
        l2_table: u64,
        /// The entry's index.
        l2_index: usize,
    },
    /// A compressed cluster where a data file holds them all.
    #[error(
"Compressed cluster entry found in image with external data file (L2 offset: {}, L2 index: {})",
Hex(*l2_table), Hex(*l2_index as u64)
)]
    CompressedWithDataFile {
        /// The table.
        l2_table: u64,
        /// The entry's index.
        l2_index: usize,
    },
    /// A cluster that lies elsewhere in the data file than the guest sees it. The words have the real tool's bracket.
    #[error(
"External data file host cluster offset {} does not match guest cluster offset: {}, L2 index: {})",
Hex(*offset), Hex(*guest), Hex(*l2_index as u64)
)]
    MisplacedInDataFile {
        /// The offset.
        offset: u64,
        /// Where it belongs.
        guest: u64,
        /// The entry's index.
        l2_index: usize,
    },
    /// Subclusters that are two things at once, or have data but no place for it. The words have two spaces, but
    /// for a write.
    #[error(
"Invalid cluster entry found {}(L2 offset: {}, L2 index: {})",
if *writing { "" } else { " " }, Hex(*l2_table), Hex(*l2_index as u64)
)]
    ContradictorySubclusters {
        /// The table.
        l2_table: u64,
        /// The entry's index.
        l2_index: usize,
        /// Found while a write was planned.
        writing: bool,
    },
    /// The zero flag before version 3.
    #[error(
"Zero cluster entry found in pre-v3 image (L2 offset: {}, L2 index: {})",
Hex(*l2_table), Hex(*l2_index as u64)
)]
    ZeroBeforeVersion3 {
        /// The table.
        l2_table: u64,
        /// The entry's index.
        l2_index: usize,
    },
}

/// What a lookup gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Load the L2 table at that place and ask again.
    Need(HostOffset),
    /// The answer.
    Run(Run),
    /// The mapping can't be used.
    Corrupt(Corruption),
}

/// The L1 entry's table, if any, with the check that every user of it needs.
pub fn l2_table_of(
    geometry: &Geometry,
    entry: L1Entry,
    l1_index: u64,
) -> Result<Option<HostOffset>, Corruption> {
    match entry.l2_table() {
        Some(offset) if !offset.is_aligned(geometry.cluster_size()) => {
            Err(Corruption::L2TableUnaligned {
                offset: offset.bytes(),
                l1_index,
            })
        }
        table => Ok(table),
    }
}

/// What lies at `offset`: the longest run of one kind within one L2 table (or over several missing ones),
/// at most `length` bytes. `length` must not be 0.
pub fn lookup(
    geometry: &Geometry,
    version: u32,
    tables: &impl Tables,
    offset: GuestOffset,
    length: u64,
) -> Lookup {
    let l1_index = geometry.l1_index(offset);
    let table = match l2_table_of(geometry, tables.l1_entry(l1_index), l1_index) {
        Ok(Some(table)) => table,
        Ok(None) => return Lookup::Run(missing_tables(geometry, tables, offset, length)),
        Err(corruption) => return Lookup::Corrupt(corruption),
    };
    match tables.l2_table(table) {
        None => Lookup::Need(table),
        Some(bytes) => match run_in_table(geometry, version, table, bytes, offset, length) {
            Ok(run) => Lookup::Run(run),
            Err(corruption) => Lookup::Corrupt(corruption),
        },
    }
}

/// Consecutive L1 entries without a table are one run.
fn missing_tables(
    geometry: &Geometry,
    tables: &impl Tables,
    offset: GuestOffset,
    length: u64,
) -> Run {
    let coverage = geometry.l2_coverage();
    let mut covered = coverage - offset.within(coverage);
    let mut index = geometry.l1_index(offset);
    while covered < length {
        index += 1;
        if tables.l1_entry(index).l2_table().is_some() {
            break;
        }
        covered = covered.saturating_add(coverage);
    }
    Run {
        length: covered.min(length),
        mapping: Mapping::Unallocated(None),
    }
}

fn run_in_table(
    geometry: &Geometry,
    version: u32,
    table: HostOffset,
    bytes: &[u8],
    offset: GuestOffset,
    length: u64,
) -> Result<Run, Corruption> {
    let first_index = geometry.l2_index(offset);
    let in_cluster = geometry.in_cluster(offset);
    let cluster_size = geometry.cluster_size();
    let run_at = |index: usize, subcluster: u32| {
        let guest = offset
            .align_down(cluster_size)
            .saturating_plus((index - first_index) as u64 * cluster_size);
        let entry = l2_entry::read(geometry, bytes, index)?;
        let (kind, count) = entry.subclusters_from(geometry, subcluster);
        let checked = checked(geometry, version, (table, index), kind)
            .and_then(|kind| in_its_place(geometry, kind, (table, index), guest));
        Some(checked.map(|kind| (kind, count)))
    };
    let mut subcluster = geometry.subcluster_index(offset);
    let (first, count) =
        run_at(first_index, subcluster).unwrap_or(Ok((Subcluster::Unallocated(None), 1)))?;
    let in_subclusters = |count: u32| u64::from(count) << geometry.subcluster_bits();
    subcluster += count;
    let mut covered = in_subclusters(subcluster) - in_cluster;
    let mut index = first_index;
    while covered < length && subcluster == geometry.subclusters() {
        index += 1;
        subcluster = 0;
        // Another broken neighbour ends the run; it is reported when it is asked for itself.
        match run_at(index, subcluster) {
            Some(Err(corruption @ Corruption::ContradictorySubclusters { .. }))
                if !matches!(first, Subcluster::Compressed(_)) =>
            {
                return Err(corruption);
            }
            Some(Ok((next, count)))
                if continues(first, next, (index - first_index) as u64 * cluster_size) =>
            {
                covered += in_subclusters(count);
                subcluster = count;
            }
            _ => break,
        }
    }
    let place = |host: HostOffset| host.saturating_plus(in_cluster);
    let mapping = match first {
        Subcluster::Unallocated(host) => Mapping::Unallocated(host.map(place)),
        Subcluster::Zero(host) => Mapping::Zero(host.map(place)),
        Subcluster::Data(host) => Mapping::Data(place(host)),
        Subcluster::Compressed(descriptor) => Mapping::Compressed(descriptor),
        Subcluster::Invalid => Mapping::Unallocated(None),
    };
    Ok(Run {
        length: covered.min(length),
        mapping,
    })
}

/// One entry, decoded and checked; `None` past the table's end.
pub fn checked_cluster(
    geometry: &Geometry,
    version: u32,
    table: HostOffset,
    bytes: &[u8],
    index: usize,
) -> Result<Option<Cluster>, Corruption> {
    let Some(entry) = l2_entry::read(geometry, bytes, index) else {
        return Ok(None);
    };
    let (kind, _) = entry.subclusters_from(geometry, 0);
    checked(geometry, version, (table, index), kind)?;
    Ok(Some(entry.cluster(geometry)))
}

/// A subcluster that follows the format's rules; `place` is its table and entry.
fn checked(
    geometry: &Geometry,
    version: u32,
    place: (HostOffset, usize),
    kind: Subcluster,
) -> Result<Subcluster, Corruption> {
    let (l2_table, l2_index) = (place.0.bytes(), place.1);
    match kind {
        Subcluster::Invalid => Err(Corruption::ContradictorySubclusters {
            l2_table,
            l2_index,
            writing: false,
        }),
        Subcluster::Zero(_) if version < 3 => {
            Err(Corruption::ZeroBeforeVersion3 { l2_table, l2_index })
        }
        _ => match kind.host() {
            Some(host) if !host.is_aligned(geometry.cluster_size()) => {
                Err(Corruption::ClusterUnaligned {
                    offset: host.bytes(),
                    l2_table,
                    l2_index,
                })
            }
            _ => Ok(kind),
        },
    }
}

/// A cluster of an image with a data file can only be at its guest offset.
fn in_its_place(
    geometry: &Geometry,
    kind: Subcluster,
    place: (HostOffset, usize),
    guest: GuestOffset,
) -> Result<Subcluster, Corruption> {
    if !geometry.external_data() {
        return Ok(kind);
    }
    if matches!(kind, Subcluster::Compressed(_)) {
        return Err(Corruption::CompressedWithDataFile {
            l2_table: place.0.bytes(),
            l2_index: place.1,
        });
    }
    match kind.host() {
        Some(host) if host.bytes() != guest.bytes() => Err(Corruption::MisplacedInDataFile {
            offset: host.bytes(),
            guest: guest.bytes(),
            l2_index: place.1,
        }),
        _ => Ok(kind),
    }
}

/// Whether a cluster `distance` bytes behind the first one of a run belongs to the same run.
fn continues(first: Subcluster, next: Subcluster, distance: u64) -> bool {
    let follows = |first: Option<HostOffset>, next: Option<HostOffset>| match (first, next) {
        (Some(first), Some(next)) => next.bytes() == first.bytes().saturating_add(distance),
        (None, None) => true,
        _ => false,
    };
    match (first, next) {
        (Subcluster::Unallocated(first), Subcluster::Unallocated(next))
        | (Subcluster::Zero(first), Subcluster::Zero(next)) => follows(first, next),
        (Subcluster::Data(first), Subcluster::Data(next)) => follows(Some(first), Some(next)),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
