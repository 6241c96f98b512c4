//! The first pass: what the tables say, without reading any data.

use super::disk::{Cluster, Disk, Storage};
use super::heat::Heat;
use super::wrap::Runs;
use crate::base::Result;
use crate::base::iv_sector::SECTOR_SIZE;

const SECTOR: u64 = SECTOR_SIZE as u64;
/// Ranges that are remembered; all are counted.
const RANGES_KEPT: usize = 32;

/// Guest ranges, neighbours joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    /// The first ones: start and length in bytes.
    pub first: Vec<(u64, u64)>,
    /// How many there are.
    pub count: u64,
    end: Option<u64>,
}

impl Ranges {
    /// Adds a range behind all others.
    pub fn add(&mut self, start: u64, length: u64) {
        if self.end == Some(start) {
            if self.count <= RANGES_KEPT as u64
                && let Some(last) = self.first.last_mut()
            {
                last.1 += length;
            }
        } else {
            self.count += 1;
            if self.first.len() < RANGES_KEPT {
                self.first.push((start, length));
            }
        }
        self.end = Some(start.saturating_add(length));
    }
}

/// Guest sectors that have several places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shared {
    /// Guest clusters with at least two places.
    pub clusters: u64,
    /// Guest sectors with at least two places.
    pub sectors: u64,
    /// Places of those clusters.
    pub places: u64,
    /// Where.
    pub ranges: Ranges,
    /// Clusters of each layer that take part.
    pub by_layer: Vec<u64>,
}

impl Shared {
    fn add(&mut self, cluster: &Cluster<'_>, cluster_size: u64) {
        let normal = || cluster.stored.iter().filter(|one| one.is_normal());
        let places = normal().count() as u64;
        let sectors = shared_sectors(cluster, cluster_size);
        if places < 2 || sectors == 0 {
            return;
        }
        self.clusters += 1;
        self.sectors += sectors;
        self.places += places;
        self.ranges.add(cluster.guest.bytes(), cluster.length);
        for layer in normal().flat_map(|one| one.layers) {
            if let Some(count) = self.by_layer.get_mut(*layer) {
                *count += 1;
            }
        }
    }
}

/// Sectors that at least two places hold.
fn shared_sectors(cluster: &Cluster<'_>, cluster_size: u64) -> u64 {
    let whole = cluster.stored.iter().all(|one| match one.storage {
        Storage::Normal(mask) => mask == u32::MAX,
        _ => true,
    });
    if whole {
        return cluster.length / SECTOR;
    }
    let held = |sector: &u64| {
        let holders = cluster
            .stored
            .iter()
            .filter(|one| one.holds(sector * SECTOR, cluster_size));
        holders.count() > 1
    };
    (0..cluster.length / SECTOR).filter(held).count() as u64
}

/// What the tables say.
pub struct Survey {
    /// Guest clusters that are stored somehow.
    pub clusters: u64,
    /// Places with (encrypted) data.
    pub normal_places: u64,
    /// Places with compressed data.
    pub compressed_places: u64,
    /// Places kept under a zero flag.
    pub kept_places: u64,
    /// Several places of one guest sector: the disk.
    pub disk: Shared,
    /// Several places of one guest sector: VM state.
    pub vm_state: Shared,
    /// The picture.
    pub heat: Heat,
    /// Every place with data, when asked for.
    pub runs: Option<Runs>,
}

impl Survey {
    /// Walks over the tables. `same_iv`: the places of a guest sector share their IV. `runs`: collect all places.
    pub fn take(disk: &dyn Disk, same_iv: bool, runs: bool) -> Result<Self> {
        let shared = || Shared {
            by_layer: vec![0; disk.layers().len()],
            ..Shared::default()
        };
        let mut survey = Self {
            clusters: 0,
            normal_places: 0,
            compressed_places: 0,
            kept_places: 0,
            disk: shared(),
            vm_state: shared(),
            heat: Heat::new(disk),
            runs: runs.then(Runs::default),
        };
        let size = disk.cluster_size();
        let end = disk.disk_end();
        disk.walk(&mut |cluster| {
            survey.add(cluster, size, end, same_iv);
            Ok(())
        })?;
        Ok(survey)
    }

    fn add(&mut self, cluster: &Cluster<'_>, size: u64, end: u64, same_iv: bool) {
        self.clusters += 1;
        for stored in cluster.stored {
            match stored.storage {
                Storage::Normal(_) => self.normal_places += 1,
                Storage::Compressed(_) => self.compressed_places += 1,
                Storage::Kept => self.kept_places += 1,
            }
            if let (Some(runs), true) = (&mut self.runs, stored.is_normal()) {
                runs.add(stored, cluster, size);
            }
        }
        self.heat.add(cluster, same_iv);
        if cluster.stored.len() > 1 {
            let shared = if cluster.guest.bytes() < end {
                &mut self.disk
            } else {
                &mut self.vm_state
            };
            shared.add(cluster, size);
        }
    }
}

#[cfg(test)]
mod tests;
