//! Copying images: the engine of `convert`.
//!
//! Workers, one per core, each take the next chunk, read it, find its zeros and write it. What decides where the
//! target stores things happens in the order of the disk (unless out-of-order writes are wanted), everything else
//! in parallel.

mod pace;
mod plan;
mod queue;
mod worker;

use parking_lot::Mutex;

use super::progress::{Meter, Progress};
use super::sources::Sources;
use super::zeroes::Sparseness;
use crate::base::{Error, GuestOffset, Result};
use crate::node::SharedNode;

/// What becomes of zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zeroes {
    /// They are written like all data (`-S 0`).
    AsData,
    /// Runs that the source is known to hold are zeroed in the target; data is not looked through.
    Known,
    /// Data is looked through as well, for runs of at least so many bytes.
    Found(usize),
}

impl Zeroes {
    /// What `-S` says.
    pub const fn from_sparse_size(bytes: usize) -> Self {
        if bytes == 0 {
            Self::AsData
        } else {
            Self::Found(bytes)
        }
    }

    const fn shortest(self) -> usize {
        match self {
            Self::AsData | Self::Known => 0,
            Self::Found(bytes) => bytes,
        }
    }
}

/// What the target reads as where nothing is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwritten {
    /// Zeros: zeros need no writing.
    Zeroes,
    /// A backing file, and zeros behind the end of that.
    ZeroesFrom(u64),
    /// Anything.
    Unknown,
}

/// How to copy.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Number of worker threads.
    pub workers: usize,
    /// What becomes of zeros.
    pub zeroes: Zeroes,
    /// Data is copied as it is: nobody looks for zeros in it.
    pub verbatim: bool,
    /// Write compressed clusters of this many bytes.
    pub compressed_cluster: Option<usize>,
    /// Don't keep the target in the order of the source.
    pub out_of_order: bool,
    /// What the target holds before.
    pub unwritten: Unwritten,
    /// Go on after read errors, with zeros.
    pub salvage: bool,
    /// Bytes a second.
    pub rate: Option<u64>,
}

/// Which step failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Asking the source what it holds.
    Status,
    /// Reading the source.
    Reading,
    /// Writing the target.
    Writing,
}

/// Why a copy failed.
#[derive(Debug)]
pub struct Failure {
    /// What was being done.
    pub step: Step,
    /// Where on the disk.
    pub offset: GuestOffset,
    /// Why it failed.
    pub error: Error,
}

/// One copy.
pub struct Conversion<'a> {
    /// From where.
    pub sources: &'a Sources,
    /// To where.
    pub target: &'a SharedNode,
    /// How.
    pub settings: &'a Settings,
    /// Who is told how far it is.
    pub progress: &'a dyn Progress,
    /// Who is told about each error that salvaging passes over.
    pub salvaged: &'a (dyn Fn(Step, GuestOffset, &Error) + Sync),
}

/// Bytes a worker copies at a time. Zeros are looked for inside one chunk only.
const CHUNK: usize = 2 << 20;
/// The same where whole grains are copied; pieces start where the data does.
const GRAINED_CHUNK: usize = 1 << 20;

/// Copies everything. The target is not flushed.
pub fn run(conversion: &Conversion<'_>) -> Result<(), Failure> {
    let settings = conversion.settings;
    let usual = if conversion.sources.is_grained() {
        GRAINED_CHUNK
    } else {
        CHUNK
    };
    let chunk = settings.compressed_cluster.unwrap_or(usual);
    let plan = || plan::Plan::new(conversion, chunk);
    let total = if settings.salvage || conversion.progress.wanted() {
        plan().total()?
    } else {
        0
    };
    let job = worker::Job {
        conversion,
        plan: Mutex::new(plan()),
        queue: queue::Queue::default(),
        meter: Meter::new(conversion.progress, total),
        pace: settings.rate.and_then(pace::Pace::new),
        sparseness: Sparseness::new(settings.zeroes.shortest()).filter(|_| !settings.verbatim),
        chunk,
        failure: Mutex::new(None),
    };
    if settings.workers < 2 {
        job.work();
    } else {
        std::thread::scope(|scope| {
            for _ in 0..settings.workers {
                scope.spawn(|| job.work());
            }
        });
    }
    match job.failure.into_inner() {
        Some(failure) => Err(failure),
        None => pad_compressed(conversion).map_err(|error| Failure {
            step: Step::Writing,
            offset: GuestOffset::new(conversion.sources.length()),
            error,
        }),
    }
}

/// Compressed data ends anywhere; readers that want whole sectors get them (errata 54).
fn pad_compressed(conversion: &Conversion<'_>) -> Result<()> {
    let target = conversion.target;
    match target.file() {
        Some(file)
            if conversion.settings.compressed_cluster.is_some()
                && target.driver() == "qcow2"
                && file.driver() == "file"
                && target.write_compressed(GuestOffset::ZERO, &[]).is_ok() =>
        {
            // A file's length is told in whole sectors, whatever it really is.
            file.resize(file.length()?, crate::node::Preallocation::Off)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
