//! Equal ciphertext at several places of one guest sector: the proof that needs no password (iv-domains §6.1, §7).

use super::disk::{Cluster, Disk, Stored};
use super::finding::{Example, Place};
use super::sectors::{self, Comparison, is_blank};
use super::survey::Ranges;
use crate::base::Result;
use crate::base::iv_sector::SECTOR_SIZE;

/// Bytes of all copies of a cluster in memory.
const MEMORY: u64 = 16 << 20;
/// Examples that are kept.
const EXAMPLES: usize = 8;

/// What the copies of guest sectors show.
#[derive(Clone, Debug, Default)]
pub struct Collisions {
    /// Guest sectors compared: at least two places hold something.
    pub examined: u64,
    /// Guest sectors with equal blocks at two places.
    pub equal: u64,
    /// Guest sectors that are equal from end to end at two places.
    pub identical: u64,
    /// Guest sectors of which two places differ: what changed is visible.
    pub different: u64,
    /// Guest ranges with equal blocks.
    pub ranges: Ranges,
    /// The first examples.
    pub examples: Vec<Example>,
}

impl Collisions {
    /// Compares all places of a guest cluster; true when equal blocks were seen.
    pub fn examine(
        &mut self,
        disk: &dyn Disk,
        cluster: &Cluster<'_>,
        comparison: Comparison,
    ) -> Result<bool> {
        let normal = cluster.stored.iter().filter(|one| one.is_normal());
        let places: Vec<&Stored<'_>> = normal.collect();
        let share = (MEMORY / places.len().max(1) as u64).max(1);
        let piece = (1_u64 << share.ilog2()).clamp(SECTOR_SIZE as u64, disk.cluster_size());
        let mut found = 0;
        let mut at = 0;
        while at < cluster.length {
            let length = piece.min(cluster.length - at);
            found += self.examine_piece(disk, cluster, &places, (at, length), comparison)?;
            at += length;
        }
        Ok(found > 0)
    }

    fn examine_piece(
        &mut self,
        disk: &dyn Disk,
        cluster: &Cluster<'_>,
        places: &[&Stored<'_>],
        (start, length): (u64, u64),
        comparison: Comparison,
    ) -> Result<u64> {
        let bytes = usize::try_from(length).unwrap_or(SECTOR_SIZE);
        let copies = places
            .iter()
            .map(|one| disk.file().read_vec(one.host.plus(start)?, bytes))
            .collect::<Result<Vec<_>>>()?;
        let mut found = 0;
        for at in (0..bytes).step_by(SECTOR_SIZE) {
            let within = start + at as u64;
            let held: Vec<(&Stored<'_>, &[u8])> = places
                .iter()
                .zip(&copies)
                .filter(|(one, _)| one.holds(within, disk.cluster_size()))
                .filter_map(|(one, copy)| Some((*one, copy.get(at..at + SECTOR_SIZE)?)))
                .filter(|(_, sector)| !is_blank(sector))
                .collect();
            if held.len() < 2 {
                continue;
            }
            self.examined += 1;
            let mut sectors: Vec<&[u8]> = held.iter().map(|(_, sector)| *sector).collect();
            let equality = sectors::compare(comparison, &mut sectors);
            self.different += u64::from(equality.different);
            if equality.equal_bytes == 0 {
                continue;
            }
            found += 1;
            self.equal += 1;
            self.identical += u64::from(equality.identical);
            let guest = cluster.guest.bytes().saturating_add(within);
            self.ranges.add(guest, SECTOR_SIZE as u64);
            if self.examples.len() < EXAMPLES {
                self.examples
                    .push(example(disk, guest, within, &held, comparison));
            }
        }
        Ok(found)
    }
}

/// The pair of places that have most in common.
fn example(
    disk: &dyn Disk,
    guest: u64,
    within: u64,
    held: &[(&Stored<'_>, &[u8])],
    comparison: Comparison,
) -> Example {
    let mut best: Option<(usize, [&Stored<'_>; 2])> = None;
    // Neighbours in time: with very many snapshots all pairs would be too many.
    for pair in held.windows(2) {
        let [(one, left), (other, right)] = pair else {
            continue;
        };
        let equal = sectors::compare(comparison, &mut [*left, *right]).equal_bytes;
        if best.is_none_or(|(most, _)| equal > most) {
            best = Some((equal, [*one, *other]));
        }
    }
    let (equal, places) = best.map_or((0, Vec::new()), |(equal, pair)| (equal, pair.to_vec()));
    let place = |stored: &Stored<'_>| Place {
        layer: stored
            .layers
            .first()
            .and_then(|layer| disk.layers().get(*layer))
            .map_or_else(String::new, |layer| layer.name.clone()),
        host_offset: stored.host.bytes().saturating_add(within),
    };
    Example {
        guest_offset: Some(guest),
        places: places.into_iter().map(place).collect(),
        equal_bytes: Some(equal as u64),
    }
}
