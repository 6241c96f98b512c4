//! Clusters of a qcow2 file that nothing refers to any more and that still hold data.

use std::collections::{HashMap, HashSet};

use super::disk::Disk;
use super::finding::{Example, Place};
use super::options::AuditOptions;
use super::qcow2_disk::{Qcow2Disk, numbers};
use super::sectors::{BLOCK, is_blank};
use crate::base::iv_sector::SECTOR_SIZE;
use crate::base::{Error, HostOffset, Result};
use crate::format::qcow2::{HostCluster, refcount};

/// Examples that are kept.
const EXAMPLES: usize = 4;
/// First blocks of freed sectors that are remembered.
const REMEMBERED: usize = 1 << 19;

/// Free clusters.
#[derive(Clone, Debug, Default)]
pub struct Freed {
    /// Clusters inside the file with a count of zero and with data below them.
    pub clusters: u64,
    /// Of these, looked at.
    pub examined: u64,
    /// Of these, with something else than zeros.
    pub holding_data: u64,
    /// The first ones.
    pub examples: Vec<Example>,
    /// First block of each sector → where it was found.
    blocks: HashMap<[u8; BLOCK], u64>,
    /// Live sectors that begin like a freed one.
    pub live_matches: u64,
    /// The first ones.
    pub match_examples: Vec<Example>,
}

impl Freed {
    /// Walks over the refcounts. `remember`: keep what is needed to find the sectors again in live clusters.
    pub fn find(disk: &Qcow2Disk, options: &AuditOptions, remember: bool) -> Result<Self> {
        let mut freed = Self::default();
        let cluster_size = disk.geometry.cluster_size();
        let budget = if options.full {
            u64::MAX
        } else {
            options.sample_bytes / 4
        };
        let mut left = budget / cluster_size;
        for_each_free(disk, &mut |cluster| {
            let host = disk.geometry.host_offset(cluster);
            let extent = disk.file().extent(host, cluster_size)?;
            if extent.zero && extent.length >= cluster_size.min(disk.file_length - host.bytes()) {
                return Ok(());
            }
            freed.clusters += 1;
            if left > 0 {
                left -= 1;
                freed.examine(disk, host, remember)?;
            }
            Ok(())
        })?;
        Ok(freed)
    }

    fn examine(&mut self, disk: &Qcow2Disk, host: HostOffset, remember: bool) -> Result<()> {
        self.examined += 1;
        let bytes = disk.file().read_vec(host, disk.geometry.cluster_bytes())?;
        if is_blank(&bytes) {
            return Ok(());
        }
        self.holding_data += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(Example {
                places: vec![place("free", host.bytes())],
                ..Example::default()
            });
        }
        if remember {
            let offsets = (host.bytes()..).step_by(SECTOR_SIZE);
            for (offset, sector) in offsets.zip(bytes.chunks(SECTOR_SIZE)) {
                let Some(block) = sector.first_chunk::<BLOCK>() else {
                    continue;
                };
                if self.blocks.len() < REMEMBERED && !is_blank(sector) {
                    self.blocks.insert(*block, offset);
                }
            }
        }
        Ok(())
    }

    /// Whether there is anything to compare live clusters with.
    pub fn remembers(&self) -> bool {
        !self.blocks.is_empty()
    }

    /// Looks for a live sector among the freed ones.
    pub fn compare(&mut self, guest: u64, layer: &str, host: u64, sector: &[u8]) {
        let Some(block) = sector.first_chunk::<BLOCK>() else {
            return;
        };
        let Some(&old) = self.blocks.get(block) else {
            return;
        };
        self.live_matches += 1;
        if self.match_examples.len() < EXAMPLES {
            self.match_examples.push(Example {
                guest_offset: Some(guest),
                places: vec![place(layer, host), place("free", old)],
                equal_bytes: Some(BLOCK as u64),
            });
        }
    }
}

fn place(layer: &str, host_offset: u64) -> Place {
    Place {
        layer: layer.to_owned(),
        host_offset,
    }
}

/// All clusters inside the file with a count of zero.
fn for_each_free(disk: &Qcow2Disk, each: &mut dyn FnMut(HostCluster) -> Result<()>) -> Result<()> {
    let geometry = &disk.geometry;
    let file = disk.file();
    let clusters = disk.file_length.div_ceil(geometry.cluster_size());
    let per_block = geometry.refcount_block_entries();
    let table_bytes = u64::from(disk.header.refcount_table_clusters) * geometry.cluster_size();
    // Capped by the header's checks.
    let table_bytes = usize::try_from(table_bytes).unwrap_or(0);
    let table = file.read_vec(disk.header.refcount_table_offset, table_bytes)?;
    let mut blocks = HashSet::new();
    for (index, entry) in (0..clusters.div_ceil(per_block)).zip(numbers(&table)) {
        let place = HostOffset::new(entry).align_down(512);
        // A block that is missing or lies in a hole of the file says that all its clusters are free.
        let extent = file.extent(place, geometry.cluster_size())?;
        let hole = extent.zero && extent.length >= geometry.cluster_size();
        let block = if place == HostOffset::ZERO || place.bytes() >= disk.file_length || hole {
            None
        } else if blocks.insert(place) {
            Some(file.read_vec(place, geometry.cluster_bytes())?)
        } else {
            return Err(Error::invalid(format!(
                "The refcount table names the block at {place} more than once"
            )));
        };
        let first = index * per_block;
        let mut at = 0;
        while at < per_block && first + at < clusters {
            let number = usize::try_from(at).unwrap_or(usize::MAX);
            let free = match &block {
                Some(block) => refcount::next_free(geometry, block, number),
                None => Some(number),
            };
            let Some(free) = free else { break };
            let cluster = HostCluster::new(first + free as u64);
            if cluster.index() >= clusters {
                break;
            }
            // Holes are skipped in one step.
            let host = geometry.host_offset(cluster);
            let extent = file.extent(host, disk.file_length.saturating_sub(host.bytes()))?;
            let hole = if extent.zero {
                extent.length / geometry.cluster_size()
            } else {
                0
            };
            if hole == 0 {
                each(cluster)?;
            }
            at = free as u64 + hole.max(1);
        }
    }
    Ok(())
}
