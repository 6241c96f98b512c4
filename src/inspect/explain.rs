//! `check --explain`: which clusters are claimed by whom, which guest data that concerns, and what a repair would do.

mod dry_run;
mod image;
mod judge;
mod references;

use std::ops::Range;

pub use dry_run::{DryRun, dry_run};
pub use references::{Claim, Owner};

use crate::base::Result;
use crate::node::HostFile;

/// A state of the disk: the active one, or a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// `active disk`, or `snapshot ID (NAME)`.
    pub name: String,
    /// Where its L1 table lies.
    pub l1_offset: u64,
    /// Entries of that table.
    pub l1_entries: u32,
}

/// What is wrong with a cluster, or with what points at one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Several owners that can't share it.
    Overlap,
    /// Nobody uses it, but it is counted; or it is counted too often.
    Leak,
    /// It is used more often than it is counted: it may be handed out again.
    CountedTooLow,
    /// An entry points at a place that is not the start of a cluster.
    Unaligned,
    /// An entry points behind the end of the file.
    BehindEnd,
    /// An entry has bits that mean nothing.
    ReservedBits,
}

impl Fault {
    /// One word for machines.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Overlap => "overlap",
            Self::Leak => "leak",
            Self::CountedTooLow => "counted-too-low",
            Self::Unaligned => "unaligned",
            Self::BehindEnd => "behind-end",
            Self::ReservedBits => "reserved-bits",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What.
    pub fault: Fault,
    /// The cluster of the file; where the place is not aligned, the one it lies in.
    pub cluster: u64,
    /// The place in the file that an entry names, or where the cluster begins.
    pub offset: u64,
    /// Who uses it.
    pub owners: Vec<Claim>,
    /// How often the refcount blocks say that it is used.
    pub refcount: u64,
    /// How often it is used.
    pub references: u64,
    /// Guest ranges that read or write other data than theirs, by state.
    pub guest: Vec<(usize, Range<u64>)>,
}

/// What is known about an image.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Version of the format.
    pub version: u32,
    /// Bytes of a cluster.
    pub cluster_size: u64,
    /// Clusters of the file.
    pub clusters: u64,
    /// Not closed cleanly with lazy refcounts.
    pub dirty: bool,
    /// Marked corrupt by who found a fault before.
    pub corrupt: bool,
    /// The active disk, then the snapshots.
    pub states: Vec<State>,
    /// What is wrong, in the order of the file.
    pub problems: Vec<Problem>,
    /// More than are listed.
    pub unlisted: u64,
}

/// Reads all tables of the image in `file`; the file is not changed.
pub fn explain(file: &HostFile) -> Result<Explanation> {
    let image = image::Image::load(file)?;
    let references = references::collect(&image)?;
    judge::judge(&image, references)
}

#[cfg(test)]
mod tests;
