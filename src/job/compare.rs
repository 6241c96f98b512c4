//! Whether two images hold the same: the engine of `compare`.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::progress::{Meter, Progress};
use super::zeroes::is_zero;
use crate::base::{Error, GuestOffset, Result};
use crate::node::extent::extent_above;
use crate::node::{Extent, SharedNode};

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The same content; where one image is longer, zeros.
    Identical,
    /// The first sector whose content differs.
    Content(GuestOffset),
    /// Strict comparison: the first extent whose status differs.
    Status(GuestOffset),
}

/// Which step failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Asking an image what it holds.
    Status,
    /// Reading it.
    Reading,
}

/// Why a comparison failed.
#[derive(Debug)]
pub struct Failure {
    /// What was being done.
    pub step: Step,
    /// Which image: 0 or 1.
    pub image: usize,
    /// Where.
    pub offset: GuestOffset,
    /// Why.
    pub error: Error,
}

/// One comparison.
pub struct Comparison<'a> {
    /// The two images.
    pub images: [&'a SharedNode; 2],
    /// Where to start.
    pub from: u64,
    /// Where to stop; behind its end an image is zeros.
    pub to: u64,
    /// The allocation must be the same as well.
    pub strict: bool,
    /// Number of worker threads.
    pub workers: usize,
    /// Who is told how far it is.
    pub progress: &'a dyn Progress,
}

/// Bytes compared at a time.
const CHUNK: u64 = 2 << 20;
/// Unit of reported differences.
const SECTOR: usize = 512;

/// A run of one image: its end, whether it is zeros, and its status for strict comparison.
#[derive(Clone, Copy)]
struct Known {
    end: u64,
    zero: bool,
    status: Option<Status>,
}

/// What a strict comparison compares: the status that `map` shows, and whether the extent is the last.
type Status = (bool, bool, bool, bool, bool, bool);

struct Piece {
    offset: u64,
    length: usize,
    zero: [bool; 2],
}

/// Deals out pieces in the order of the disk.
struct Plan<'a> {
    comparison: &'a Comparison<'a>,
    lengths: [u64; 2],
    position: u64,
    known: [Option<Known>; 2],
}

/// What ends the comparison, or would.
enum Event {
    Differs(Verdict),
    Fails(Failure),
}

struct Job<'a> {
    comparison: &'a Comparison<'a>,
    plan: Mutex<Plan<'a>>,
    meter: Meter<'a>,
    /// Event that is first in the order of the disk, and where.
    first: Mutex<Option<(u64, Event)>>,
    ended: AtomicBool,
}

/// Compares. What is reported is always the first difference on the disk, however many workers there are.
pub fn run(comparison: &Comparison<'_>) -> Result<Verdict, Failure> {
    let mut lengths = [0; 2];
    for (image, node) in comparison.images.iter().enumerate() {
        lengths[image] = node.length().map_err(|error| Failure {
            step: Step::Status,
            image,
            offset: GuestOffset::ZERO,
            error,
        })?;
    }
    let job = Job {
        comparison,
        plan: Mutex::new(Plan {
            comparison,
            lengths,
            position: comparison.from,
            known: [None; 2],
        }),
        meter: Meter::starting_at(
            comparison.progress,
            comparison.from,
            lengths[0].max(lengths[1]),
        ),
        first: Mutex::new(None),
        ended: AtomicBool::new(false),
    };
    std::thread::scope(|scope| {
        for _ in 1..comparison.workers {
            scope.spawn(|| job.work());
        }
        job.work();
    });
    match job.first.into_inner() {
        Some((_, Event::Fails(failure))) => Err(failure),
        Some((_, Event::Differs(verdict))) => Ok(verdict),
        None => Ok(Verdict::Identical),
    }
}

impl Plan<'_> {
    /// The next piece that has to be looked at.
    fn next(&mut self, meter: &Meter<'_>) -> Result<Option<Piece>, (u64, Event)> {
        let end = self.comparison.to;
        while self.position < end {
            let position = self.position;
            let a = self.run(0)?;
            let b = self.run(1)?;
            if a.status != b.status {
                let verdict = Verdict::Status(GuestOffset::new(position));
                return Err((position, Event::Differs(verdict)));
            }
            let common = a.end.min(b.end).min(end);
            if a.zero && b.zero {
                self.position = common;
                meter.advance(common - position);
                continue;
            }
            self.position = common.min(position.saturating_add(CHUNK));
            let piece = Piece {
                offset: position,
                length: usize::try_from(self.position - position).unwrap_or(0),
                zero: [a.zero, b.zero],
            };
            return Ok(Some(piece));
        }
        Ok(None)
    }

    /// The run of one image at the position.
    fn run(&mut self, image: usize) -> Result<Known, (u64, Event)> {
        if let Some(known) = self.known[image]
            && known.end > self.position
        {
            return Ok(known);
        }
        let length = self.lengths[image];
        let known = if self.position >= length {
            Known {
                end: u64::MAX,
                zero: true,
                status: None,
            }
        } else {
            let offset = GuestOffset::new(self.position);
            let node = self.comparison.images[image];
            let extent = extent_above(node, None, offset, length - self.position)
                .map(|found| found.extent)
                .and_then(|extent| {
                    if extent.length == 0 {
                        Err(Error::eio())
                    } else {
                        Ok(extent)
                    }
                })
                .map_err(|error| failed(Step::Status, image, self.position, error))?;
            let mut end = self.position + extent.length;
            if self.comparison.strict && node.driver() == "qcow" && end >= length {
                // The real tool asks qcow cluster by cluster: only the last one is the last.
                let cluster = node.info().ok().and_then(|info| info.cluster_size);
                let start = length - 1 - (length - 1) % cluster.unwrap_or(1).max(1);
                if self.position < start {
                    end = start;
                }
            }
            Known {
                end,
                zero: extent.zero || !extent.data,
                status: self
                    .comparison
                    .strict
                    .then(|| status(&extent, end >= length)),
            }
        };
        self.known[image] = Some(known);
        Ok(known)
    }
}

const fn status(extent: &Extent, last: bool) -> Status {
    (
        extent.data,
        extent.zero,
        extent.allocated,
        extent.compressed,
        extent.host.is_some(),
        last,
    )
}

fn failed(step: Step, image: usize, offset: u64, error: Error) -> (u64, Event) {
    let failure = Failure {
        step,
        image,
        offset: GuestOffset::new(offset),
        error,
    };
    (offset, Event::Fails(failure))
}

impl Job<'_> {
    fn work(&self) {
        let chunk = usize::try_from(CHUNK).unwrap_or(usize::MAX);
        let mut buffers = [vec![0; chunk], vec![0; chunk]];
        while !self.ended.load(Ordering::Relaxed) {
            match self.step(&mut buffers) {
                Ok(true) => {}
                Ok(false) => return,
                Err((offset, event)) => {
                    self.ended.store(true, Ordering::Relaxed);
                    let mut first = self.first.lock();
                    // Whoever works on an earlier piece finishes it, and may find something as well.
                    if first.as_ref().is_none_or(|(known, _)| offset < *known) {
                        *first = Some((offset, event));
                    }
                }
            }
        }
    }

    /// Compares the next piece; false when there is none.
    fn step(&self, [a, b]: &mut [Vec<u8>; 2]) -> Result<bool, (u64, Event)> {
        let Some(piece) = self.plan.lock().next(&self.meter)? else {
            return Ok(false);
        };
        let (a, b) = (&mut a[..piece.length], &mut b[..piece.length]);
        let differs = match piece.zero {
            [true, _] => self.nonzero(1, &piece, b)?,
            [_, true] => self.nonzero(0, &piece, a)?,
            [false, false] => {
                self.read(0, &piece, a)?;
                self.read(1, &piece, b)?;
                first_difference(a, b)
            }
        };
        if let Some(index) = differs {
            let offset = piece.offset + index as u64;
            let verdict = Verdict::Content(GuestOffset::new(offset));
            return Err((offset, Event::Differs(verdict)));
        }
        self.meter.advance(piece.length as u64);
        Ok(true)
    }

    fn read(&self, image: usize, piece: &Piece, buffer: &mut [u8]) -> Result<(), (u64, Event)> {
        self.comparison.images[image]
            .read_at(GuestOffset::new(piece.offset), buffer)
            .map_err(|error| failed(Step::Reading, image, piece.offset, error))
    }

    /// The first sector of a piece that is not zero in one image, where the other is.
    fn nonzero(
        &self,
        image: usize,
        piece: &Piece,
        buffer: &mut [u8],
    ) -> Result<Option<usize>, (u64, Event)> {
        self.read(image, piece, buffer)?;
        if is_zero(buffer) {
            return Ok(None);
        }
        let sector = buffer.chunks(SECTOR).position(|sector| !is_zero(sector));
        Ok(sector.map(|index| index * SECTOR))
    }
}

/// Where the first sector that differs starts.
fn first_difference(a: &[u8], b: &[u8]) -> Option<usize> {
    if a == b {
        return None;
    }
    a.chunks(SECTOR)
        .zip(b.chunks(SECTOR))
        .position(|(a, b)| a != b)
        .map(|index| index * SECTOR)
}

#[cfg(test)]
mod tests;
