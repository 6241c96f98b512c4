//! Writing a layer into one below it: the engine of `commit`.

use super::convert::{self, Conversion, Settings, Unwritten, Zeroes};
use super::progress::Progress;
use super::sources::Sources;
use crate::base::Result;
use crate::node::{Preallocation, SharedNode};

/// One commit.
pub struct Commit<'a> {
    /// The layer whose content goes down; everything between it and the base goes along.
    pub top: &'a SharedNode,
    /// The layer that receives it, open for writing.
    pub base: &'a SharedNode,
    /// Drop what the top layer holds afterwards.
    pub empty_top: bool,
    /// Number of worker threads.
    pub workers: usize,
    /// Bytes a second.
    pub rate: Option<u64>,
    /// Who is told how far it is.
    pub progress: &'a dyn Progress,
}

/// The unit in which the real tool goes through what is to be written: the base's cluster, within these limits.
const GRAIN_MIN: u64 = 4 << 10;
const GRAIN_MAX: u64 = 64 << 10;

/// Commits. The top layer is emptied only when everything has reached the base.
pub fn run(commit: &Commit<'_>) -> Result<()> {
    let length = commit.top.length()?;
    if length > commit.base.length()? {
        commit.base.resize(length, Preallocation::Off)?;
    }
    let grain = (commit.base.info()?.cluster_size)
        .unwrap_or(GRAIN_MAX)
        .clamp(GRAIN_MIN, GRAIN_MAX);
    let sources =
        Sources::above(commit.top, Some(SharedNode::clone(commit.base)))?.in_grains(grain);
    let settings = Settings {
        workers: commit.workers,
        zeroes: Zeroes::Known,
        compressed_cluster: None,
        verbatim: false,
        out_of_order: false,
        unwritten: Unwritten::Unknown,
        salvage: false,
        rate: commit.rate,
    };
    convert::run(&Conversion {
        sources: &sources,
        target: commit.base,
        settings: &settings,
        progress: commit.progress,
        salvaged: &|_, _, _| {},
    })
    .map_err(|failure| failure.error)?;
    commit.base.flush()?;
    if commit.empty_top {
        commit.top.make_empty()?;
    }
    Ok(())
}
