//! From a guest range to what lies there, without a disk: a mapping is a value, the driver's I/O carries it out.

use super::compressed_descriptor::CompressedDescriptor;
use super::geometry::Geometry;
use super::l1_entry::L1Entry;
use super::l2_entry::{self, Cluster};
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
    /// The backing file's, or zeros.
    Unallocated,
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
        mapping: Mapping::Unallocated,
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
    let cluster_at = |index| {
        let guest = offset
            .align_down(geometry.cluster_size())
            .saturating_plus((index - first_index) as u64 * geometry.cluster_size());
        match checked_cluster(geometry, version, table, bytes, index) {
            Ok(Some(cluster)) => Some(in_its_place(geometry, cluster, table, index, guest)),
            other => other.transpose(),
        }
    };
    let first = cluster_at(first_index).unwrap_or(Ok(Cluster::Unallocated))?;
    let cluster_size = geometry.cluster_size();
    let mut covered = cluster_size - in_cluster;
    let mut index = first_index + 1;
    while covered < length {
        // A broken neighbour ends the run; it is reported when it is asked for itself.
        match cluster_at(index) {
            Some(Ok(next))
                if continues(first, next, (index - first_index) as u64 * cluster_size) =>
            {
                covered += cluster_size;
                index += 1;
            }
            _ => break,
        }
    }
    let mapping = match first {
        Cluster::Unallocated => Mapping::Unallocated,
        Cluster::ZeroPlain => Mapping::Zero(None),
        Cluster::ZeroAllocated(host) => Mapping::Zero(Some(host.saturating_plus(in_cluster))),
        Cluster::Normal(host) => Mapping::Data(host.saturating_plus(in_cluster)),
        Cluster::Compressed(descriptor) => Mapping::Compressed(descriptor),
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
    let Some(entry) = l2_entry::read(bytes, index) else {
        return Ok(None);
    };
    let cluster = entry.cluster(geometry);
    if version < 3 && matches!(cluster, Cluster::ZeroPlain | Cluster::ZeroAllocated(_)) {
        return Err(Corruption::ZeroBeforeVersion3 {
            l2_table: table.bytes(),
            l2_index: index,
        });
    }
    match cluster {
        Cluster::Normal(host) | Cluster::ZeroAllocated(host)
            if !host.is_aligned(geometry.cluster_size()) =>
        {
            Err(Corruption::ClusterUnaligned {
                offset: host.bytes(),
                l2_table: table.bytes(),
                l2_index: index,
            })
        }
        _ => Ok(Some(cluster)),
    }
}

/// A cluster of an image with a data file can only be at its guest offset.
fn in_its_place(
    geometry: &Geometry,
    cluster: Cluster,
    table: HostOffset,
    index: usize,
    guest: GuestOffset,
) -> Result<Cluster, Corruption> {
    match cluster {
        _ if !geometry.external_data() => Ok(cluster),
        Cluster::Compressed(_) => Err(Corruption::CompressedWithDataFile {
            l2_table: table.bytes(),
            l2_index: index,
        }),
        Cluster::Normal(host) | Cluster::ZeroAllocated(host) if host.bytes() != guest.bytes() => {
            Err(Corruption::MisplacedInDataFile {
                offset: host.bytes(),
                guest: guest.bytes(),
                l2_index: index,
            })
        }
        _ => Ok(cluster),
    }
}

/// Whether a cluster `distance` bytes behind the first one of a run belongs to the same run.
fn continues(first: Cluster, next: Cluster, distance: u64) -> bool {
    match (first, next) {
        (Cluster::Unallocated, Cluster::Unallocated) | (Cluster::ZeroPlain, Cluster::ZeroPlain) => {
            true
        }
        (Cluster::Normal(first), Cluster::Normal(next))
        | (Cluster::ZeroAllocated(first), Cluster::ZeroAllocated(next)) => {
            next.bytes() == first.bytes().saturating_add(distance)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
