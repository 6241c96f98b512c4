//! Uses against each other and against the stored counts.

use std::ops::Range;

use super::image::Image;
use super::references::{Claim, Odd, Owner, References};
use super::{Explanation, Fault, Problem};
use crate::base::Result;
use crate::format::qcow2::header::IncompatibleFeatures;

/// More than so many are only counted.
const PROBLEMS_MAX: usize = 10_000;
/// Owners that one problem names.
const OWNERS_MAX: usize = 64;

struct Judge<'a> {
    image: &'a Image<'a>,
    problems: Vec<Problem>,
    unlisted: u64,
}

pub(super) fn judge(image: &Image<'_>, references: References) -> Result<Explanation> {
    let mut judge = Judge {
        image,
        problems: Vec::new(),
        unlisted: 0,
    };
    for odd in references.odd {
        judge.odd(odd);
    }
    let mut claims = references.claims;
    claims.sort_unstable();
    judge.counts(&claims)?;
    let mut problems = judge.problems;
    problems.sort_by_key(|problem| (problem.cluster, problem.offset));
    let has = |feature| image.header.incompatible.contains(feature);
    Ok(Explanation {
        version: image.header.version,
        cluster_size: image.geometry.cluster_size(),
        clusters: image.geometry.clusters_for(image.file_length),
        dirty: has(IncompatibleFeatures::DIRTY),
        corrupt: has(IncompatibleFeatures::CORRUPT),
        states: image.states.clone(),
        problems,
        unlisted: judge.unlisted,
    })
}

impl Judge<'_> {
    fn add(&mut self, problem: Problem) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        } else {
            self.unlisted += 1;
        }
    }

    fn odd(&mut self, odd: Odd) {
        let guest = self.guest_of(std::slice::from_ref(&odd.claim));
        self.add(Problem {
            fault: odd.fault,
            cluster: odd.offset / self.image.geometry.cluster_size(),
            offset: odd.offset,
            owners: vec![odd.claim],
            refcount: 0,
            references: 0,
            guest,
        });
    }

    /// Walks the refcount blocks and the sorted uses side by side.
    fn counts(&mut self, claims: &[(u64, Claim)]) -> Result<()> {
        let per_block = self.image.geometry.refcount_block_entries();
        let clusters = self.image.geometry.clusters_for(self.image.file_length);
        // One more: what ends less than a cluster behind the file's end is in it.
        let end = claims
            .last()
            .map_or(clusters, |(last, _)| clusters.max(last + 1));
        let mut rest = claims;
        for index in 0..end.div_ceil(per_block) {
            let block = self.image.refcount_block(index)?;
            let range = index * per_block..((index + 1) * per_block).min(end);
            let used = rest.partition_point(|(cluster, _)| *cluster < range.end);
            let (here, behind) = rest.split_at(used);
            rest = behind;
            if block.is_none() && here.is_empty() {
                continue;
            }
            self.block(block.as_deref(), range, here);
        }
        Ok(())
    }

    fn block(&mut self, block: Option<&[u8]>, range: Range<u64>, claims: &[(u64, Claim)]) {
        let mut rest = claims;
        for cluster in range {
            let used = rest.partition_point(|(at, _)| *at <= cluster);
            let (here, behind) = rest.split_at(used);
            rest = behind;
            let stored = self.image.count_in(block, cluster);
            if here.len() as u64 != stored || here.len() > 1 {
                self.cluster(cluster, stored, here);
            }
        }
    }

    fn cluster(&mut self, cluster: u64, refcount: u64, claims: &[(u64, Claim)]) {
        let references = claims.len() as u64;
        let overlap = overlaps(claims);
        let fault = if overlap {
            Fault::Overlap
        } else if refcount > references {
            Fault::Leak
        } else if refcount < references {
            Fault::CountedTooLow
        } else {
            return;
        };
        let owners: Vec<Claim> = claims
            .iter()
            .take(OWNERS_MAX)
            .map(|(_, claim)| claim.clone())
            .collect();
        // A count that is too high harms nobody.
        let guest = if fault == Fault::Leak {
            Vec::new()
        } else {
            self.guest_of(&owners)
        };
        self.add(Problem {
            fault,
            cluster,
            offset: cluster * self.image.geometry.cluster_size(),
            owners,
            refcount,
            references,
            guest,
        });
    }

    /// The guest ranges that depend on a cluster. Where all depends on it, that is all of the disk.
    fn guest_of(&self, owners: &[Claim]) -> Vec<(usize, Range<u64>)> {
        let geometry = &self.image.geometry;
        let size = self.image.header.size;
        let mut ranges = Vec::new();
        for claim in owners {
            let Some(state) = claim.state.and_then(|state| usize::try_from(state).ok()) else {
                continue;
            };
            let range = match claim.owner {
                Owner::Data(guest) | Owner::Compressed(guest) => {
                    guest..guest.saturating_add(geometry.cluster_size())
                }
                Owner::L2(index) => {
                    let first = index.saturating_mul(geometry.l2_coverage());
                    first..first.saturating_add(geometry.l2_coverage())
                }
                Owner::L1 => 0..size,
                _ => continue,
            };
            // What lies behind the disk is VM state, and whole.
            let end = if range.start < size {
                range.end.min(size)
            } else {
                range.end
            };
            if !ranges.contains(&(state, range.start..end)) {
                ranges.push((state, range.start..end));
            }
        }
        ranges
    }
}

/// Whether owners can't share a cluster: states share what they have at the same place, and compressed clusters lie
/// side by side.
fn overlaps(claims: &[(u64, Claim)]) -> bool {
    let Some(((_, first), others)) = claims.split_first() else {
        return false;
    };
    let compressed = |claim: &Claim| matches!(claim.owner, Owner::Compressed(_));
    let shares = |other: &Claim| {
        if compressed(first) && compressed(other) {
            return true;
        }
        let same_thing = first.owner == other.owner && !matches!(first.owner, Owner::L1);
        same_thing && first.state.is_some() && first.state != other.state
    };
    let mut previous = first;
    for (_, other) in others {
        if !shares(other) || (previous == other && !compressed(other)) {
            return true;
        }
        previous = other;
    }
    false
}
