//! `plain` IVs: 32 bits of the sector number, which come round after 2 TiB (iv-domains §6.4).

use super::disk::{Cluster, Stored};
use super::finding::{Example, Place};
use super::sectors::{self, Comparison, is_blank};
use crate::base::iv_sector::SECTOR_SIZE;
use crate::base::{HostOffset, Result};
use crate::node::HostFile;

/// Bytes after which the numbers start again.
pub const PERIOD: u64 = 1 << 41;
/// Runs that are remembered: 128 MiB.
const RUNS_MAX: usize = 4 << 20;
/// Examples that are kept.
const EXAMPLES: usize = 8;

/// A stretch of the file with data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) host: u64,
    pub(super) guest: u64,
    pub(super) length: u64,
}

/// All stretches of the file with data.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    runs: Vec<Run>,
    /// There were more than are remembered.
    pub truncated: bool,
}

impl Runs {
    /// Adds a place, joined with the one before it where they touch.
    pub fn add(&mut self, stored: &Stored<'_>, cluster: &Cluster<'_>, cluster_size: u64) {
        let part = (cluster_size / 32).max(1);
        let mut at = 0;
        while at < cluster.length {
            let length = part.min(cluster.length - at);
            if stored.holds(at, cluster_size) {
                let host = stored.host.bytes().saturating_add(at);
                self.push(host, cluster.guest.bytes().saturating_add(at), length);
            }
            at += length;
        }
    }

    /// The stretches, as they were added.
    pub(super) fn stretches(&self) -> &[Run] {
        &self.runs
    }

    fn push(&mut self, host: u64, guest: u64, length: u64) {
        let room = self.runs.len() < RUNS_MAX;
        match self.runs.last_mut() {
            Some(last) if last.host + last.length == host && last.guest + last.length == guest => {
                last.length += length;
            }
            _ if room => self.runs.push(Run {
                host,
                guest,
                length,
            }),
            _ => self.truncated = true,
        }
    }

    /// Finds places whose sector numbers are equal modulo 2^32; `payload` is the offset of number 0.
    pub fn find_wraps(&self, payload: u64) -> Wraps {
        // Cut at the period, then sorted by the number that makes the IV.
        let mut pieces: Vec<(u64, Run)> = Vec::new();
        for run in &self.runs {
            let (mut host, mut guest, mut left) = (run.host, run.guest, run.length);
            while left > 0 {
                let number = host.saturating_sub(payload) % PERIOD;
                let length = left.min(PERIOD - number);
                pieces.push((
                    number,
                    Run {
                        host,
                        guest,
                        length,
                    },
                ));
                host = host.saturating_add(length);
                guest = guest.saturating_add(length);
                left -= length;
            }
        }
        pieces.sort_unstable_by_key(|(number, run)| (*number, run.host));
        let mut wraps = Wraps::default();
        let mut covered = 0;
        let mut open: Vec<(u64, Run)> = Vec::new();
        for (number, run) in pieces {
            open.retain(|(start, other)| start + other.length > number);
            for (start, other) in &open {
                let from = number;
                let until = (number + run.length).min(start + other.length);
                wraps.pairs.push(Pair {
                    first: other.host + (from - start),
                    second: run.host,
                    guest: run.guest,
                    length: until - from,
                });
                // A number that three places share is counted once.
                let fresh = until.saturating_sub(from.max(covered));
                wraps.sectors += fresh / SECTOR_SIZE as u64;
                covered = covered.max(until);
                if wraps.pairs.len() >= RUNS_MAX {
                    return wraps;
                }
            }
            open.push((number, run));
        }
        wraps
    }
}

/// Two stretches with equal IVs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    first: u64,
    second: u64,
    guest: u64,
    length: u64,
}

/// All pairs of stretches with equal IVs.
#[derive(Clone, Debug, Default)]
pub struct Wraps {
    /// Sector numbers that are used more than once.
    pub sectors: u64,
    pairs: Vec<Pair>,
}

/// What the ciphertext of such pairs shows.
#[derive(Clone, Debug, Default)]
pub struct WrapProof {
    /// Sectors compared: both places hold something.
    pub examined: u64,
    /// Sectors with equal blocks.
    pub equal: u64,
    /// Sectors equal from end to end.
    pub identical: u64,
    /// The first ones.
    pub examples: Vec<Example>,
}

impl Wraps {
    /// Compares the ciphertext of pairs, at most `budget` bytes.
    pub fn prove(
        &self,
        file: &HostFile,
        comparison: Comparison,
        mut budget: u64,
    ) -> Result<WrapProof> {
        const STEP: usize = 64 << 10;
        let mut proof = WrapProof::default();
        for pair in &self.pairs {
            let mut at = 0;
            while at < pair.length && budget > 0 {
                let (one, other) = (pair.first + at, pair.second + at);
                // Holes hold nothing: they are passed over without being read.
                let hole = hole_at(file, one)?.max(hole_at(file, other)?);
                if hole > 0 {
                    at = at.saturating_add(hole);
                    continue;
                }
                let step = usize::try_from(pair.length - at).map_or(STEP, |left| left.min(STEP));
                let first = file.read_vec(HostOffset::new(one), step)?;
                let second = file.read_vec(HostOffset::new(other), step)?;
                let sectors = first.chunks(SECTOR_SIZE).zip(second.chunks(SECTOR_SIZE));
                for (offset, (one, other)) in (at..).step_by(SECTOR_SIZE).zip(sectors) {
                    proof.add(pair, offset, [one, other], comparison);
                }
                at += step as u64;
                budget = budget.saturating_sub(2 * step as u64);
            }
        }
        Ok(proof)
    }
}

impl WrapProof {
    fn add(&mut self, pair: &Pair, at: u64, mut copies: [&[u8]; 2], comparison: Comparison) {
        if copies.iter().any(|copy| is_blank(copy)) {
            return;
        }
        self.examined += 1;
        let equality = sectors::compare(comparison, &mut copies);
        if equality.equal_bytes == 0 {
            return;
        }
        self.equal += 1;
        self.identical += u64::from(equality.identical);
        if self.examples.len() < EXAMPLES {
            let place = |host: u64| Place {
                layer: "active".to_owned(),
                host_offset: host + at,
            };
            self.examples.push(Example {
                guest_offset: Some(pair.guest + at),
                places: vec![place(pair.first), place(pair.second)],
                equal_bytes: Some(equality.equal_bytes as u64),
            });
        }
    }
}

/// Whole sectors of the file from `offset` on that the file system does not store.
fn hole_at(file: &HostFile, offset: u64) -> Result<u64> {
    let extent = file.extent(HostOffset::new(offset), i64::MAX.unsigned_abs())?;
    let sector = SECTOR_SIZE as u64;
    if extent.length == 0 {
        // Past the end.
        return Ok(i64::MAX.unsigned_abs());
    }
    Ok(if extent.zero {
        extent.length / sector * sector
    } else {
        0
    })
}

#[cfg(test)]
mod tests;
