//! How large an image will be before it is made.

use crate::base::limits::QCOW2_MAX_L1_BYTES;
use crate::base::{Error, GuestOffset, Result};
use crate::node::extent::extent_above;
use crate::node::{Preallocation, SharedNode};

/// The answer, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// For the data there is now.
    pub required: u64,
    /// Once every guest cluster is written.
    pub fully_allocated: u64,
    /// For the source's bitmaps, where source and target can have them.
    pub bitmaps: Option<u64>,
}

/// A qcow2 image to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Qcow2Target {
    /// Bytes of a cluster.
    pub cluster_size: u64,
    /// Bits of a refcount.
    pub refcount_bits: u64,
    /// Subclusters: an L2 entry has 16 bytes.
    pub extended_l2: bool,
    /// Bytes of the LUKS header, 0 without.
    pub encryption_header: u64,
    /// `preallocation`.
    pub preallocation: Preallocation,
}

/// Sizes of a qcow2 image of `size` guest bytes, `data` of which (whole clusters) are to be written.
pub fn qcow2(target: &Qcow2Target, size: u64, data: u64) -> Result<Sizes> {
    let cluster = target.cluster_size;
    let guest = size
        .checked_next_multiple_of(cluster)
        .ok_or_else(too_large)?;
    let l2_entry = if target.extended_l2 { 16 } else { 8 };
    let l2_tables = (guest / cluster).div_ceil(cluster / l2_entry);
    let l1 = (l2_tables * 8).next_multiple_of(cluster);
    if l2_tables * 8 > QCOW2_MAX_L1_BYTES {
        return Err(too_large());
    }
    let header = cluster;
    let encryption = target.encryption_header.next_multiple_of(cluster);
    // The real tool counts no refcounts for the LUKS header.
    let mapped = header + l1 + l2_tables * cluster;
    let clusters = mapped
        .checked_add(guest)
        .ok_or_else(too_large)?
        .div_ceil(cluster);
    let metadata =
        mapped + refcounts(clusters, cluster, target.refcount_bits) * cluster + encryption;
    let written = match target.preallocation {
        Preallocation::Off | Preallocation::Metadata => data.min(guest),
        Preallocation::Falloc | Preallocation::Full => guest,
    };
    Ok(Sizes {
        required: metadata + written,
        fully_allocated: metadata + guest,
        bitmaps: None,
    })
}

fn too_large() -> Error {
    Error::caller("The image size is too large (try using a larger cluster size)")
}

/// Clusters of refcount blocks and table that count `clusters` others and themselves.
fn refcounts(clusters: u64, cluster_size: u64, refcount_bits: u64) -> u64 {
    let per_block = cluster_size * 8 / refcount_bits;
    let per_table_cluster = cluster_size / 8;
    let mut own = 0;
    loop {
        let blocks = (clusters + own).div_ceil(per_block);
        let needed = blocks + blocks.div_ceil(per_table_cluster);
        if needed == own {
            return own;
        }
        own = needed;
    }
}

/// Sizes of an image that stores its guest bytes one to one behind `header` bytes.
pub const fn flat(size: u64, header: u64) -> Sizes {
    let bytes = size + header;
    Sizes {
        required: bytes,
        fully_allocated: bytes,
        bitmaps: None,
    }
}

/// Bytes of the clusters of `cluster_size` bytes that hold data in `source` or below it.
pub fn data_bytes(source: &SharedNode, cluster_size: u64) -> Result<u64> {
    let end = source.length()?;
    let mut position = 0;
    let mut counted_to = 0;
    let mut data = 0;
    while position < end {
        let extent = extent_above(source, None, GuestOffset::new(position), end - position)
            .map_err(|error| error.prefixed("Unable to get block status: "))?
            .extent;
        if extent.length == 0 {
            break;
        }
        let next = position + extent.length;
        if extent.data && extent.allocated && !extent.zero {
            let first = (position - position % cluster_size).max(counted_to);
            counted_to = next.next_multiple_of(cluster_size);
            data += counted_to.saturating_sub(first);
        }
        position = next;
    }
    Ok(data)
}

/// Bytes that bitmaps take in a qcow2 image: for each the granularity and the length of the name.
pub fn bitmap_bytes(size: u64, cluster_size: u64, bitmaps: &[(u64, u64)]) -> u64 {
    let mut directory = 0_u64;
    let mut bytes = 0_u64;
    for (granularity, name_length) in bitmaps {
        let bits = size.div_ceil((*granularity).max(1));
        let clusters = bits.div_ceil(8).div_ceil(cluster_size);
        let table = (clusters * 8).next_multiple_of(cluster_size);
        bytes = bytes.saturating_add(clusters * cluster_size + table);
        directory += (24 + name_length).next_multiple_of(8);
    }
    bytes.saturating_add(directory.next_multiple_of(cluster_size))
}

#[cfg(test)]
mod tests;
