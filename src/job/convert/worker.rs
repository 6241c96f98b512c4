//! What each worker thread does.

use parking_lot::Mutex;

use super::super::progress::Meter;
use super::super::zeroes::{Run, Sparseness, is_zero};
use super::pace::Pace;
use super::plan::{Piece, Plan, Task};
use super::queue::{Held, Place, Queue};
use super::{Conversion, Failure, Step, Unwritten};
use crate::base::{Error, GuestOffset, Result};
use crate::node::{Turn, ZeroFlags};

/// Smallest unit that salvaging reads.
const SECTOR: usize = 512;

/// What the workers share.
pub(super) struct Job<'a> {
    pub(super) conversion: &'a Conversion<'a>,
    pub(super) plan: Mutex<Plan<'a>>,
    pub(super) queue: Queue,
    pub(super) meter: Meter<'a>,
    pub(super) pace: Option<Pace>,
    pub(super) sparseness: Option<Sparseness>,
    pub(super) chunk: usize,
    /// The failure that is first in the order of the disk.
    pub(super) failure: Mutex<Option<Failure>>,
}

impl Job<'_> {
    /// Copies pieces until none is left or somebody fails.
    pub(super) fn work(&self) {
        let mut buffer = vec![0; self.chunk];
        while !self.queue.called_off() {
            match self.step(&mut buffer) {
                Ok(true) => {}
                Ok(false) => return,
                Err(failure) => self.fail(failure),
            }
        }
    }

    fn fail(&self, failure: Failure) {
        self.queue.call_off();
        let mut first = self.failure.lock();
        // Whoever holds an earlier piece finishes it, and may fail as well.
        if first
            .as_ref()
            .is_none_or(|first| failure.offset < first.offset)
        {
            *first = Some(failure);
        }
    }

    /// Copies the next piece; false when there is none.
    fn step(&self, buffer: &mut [u8]) -> Result<bool, Failure> {
        let Some(piece) = self.plan.lock().next()? else {
            return Ok(false);
        };
        let settings = self.conversion.settings;
        if let Some(pace) = &self.pace {
            pace.take(piece.length);
        }
        let mut place = self.queue.place(piece.ticket, !settings.out_of_order);
        match self.carry_out(piece, buffer, &mut place) {
            Err(_) if place.called_off() => return Ok(false),
            result => result?,
        }
        place.pass();
        self.meter.advance_in_order(piece.ticket, piece.length);
        Ok(true)
    }

    fn carry_out(
        &self,
        piece: Piece,
        buffer: &mut [u8],
        place: &mut Place<'_>,
    ) -> Result<(), Failure> {
        if piece.task == Task::Zero {
            return self.zero(piece.offset, piece.length, place);
        }
        let length = usize::try_from(piece.length).unwrap_or(usize::MAX);
        let data = &mut buffer[..length];
        if piece.task == Task::Fill {
            data.fill(0);
            self.write(piece.offset, data, place)
        } else {
            self.read(piece, data)?;
            self.copy(piece.offset, data, place)
        }
    }

    fn read(&self, piece: Piece, data: &mut [u8]) -> Result<(), Failure> {
        let sources = self.conversion.sources;
        match sources.read_at(piece.offset, data) {
            Ok(()) => Ok(()),
            Err(_) if self.conversion.settings.salvage => {
                for (index, sector) in data.chunks_mut(SECTOR).enumerate() {
                    let offset = piece.offset.saturating_plus((index * SECTOR) as u64);
                    if let Err(error) = sources.read_at(offset, sector) {
                        (self.conversion.salvaged)(Step::Reading, offset, &error);
                        sector.fill(0);
                    }
                }
                Ok(())
            }
            Err(error) => Err(Failure {
                step: Step::Reading,
                offset: piece.offset,
                error,
            }),
        }
    }

    /// Writes what was read, without its zeros.
    fn copy(
        &self,
        offset: GuestOffset,
        data: &mut [u8],
        place: &mut Place<'_>,
    ) -> Result<(), Failure> {
        let Some(sparseness) = self.sparseness else {
            return self.write(offset, data, place);
        };
        if self.conversion.settings.compressed_cluster.is_some() {
            return if is_zero(data) {
                self.zero_found(offset, data.len(), place)
            } else {
                self.write(offset, data, place)
            };
        }
        let runs = sparseness.runs(offset.bytes(), data);
        let last = runs.iter().rposition(|run| !run.zero);
        for (index, Run { range, zero }) in runs.into_iter().enumerate() {
            let at = offset.saturating_plus(range.start as u64);
            if zero {
                self.zero_found(at, range.len(), place)?;
            } else if Some(index) == last && !self.zeroes_needed() {
                self.write(at, &mut data[range], place)?;
            } else {
                self.write(at, &mut data[range], &mut Held(place))?;
            }
        }
        Ok(())
    }

    /// Whether zeros that were found have to reach the target.
    fn zeroes_needed(&self) -> bool {
        self.conversion.settings.unwritten != Unwritten::Zeroes
    }

    fn zero_found(
        &self,
        offset: GuestOffset,
        length: usize,
        place: &mut Place<'_>,
    ) -> Result<(), Failure> {
        if self.zeroes_needed() {
            self.zero(offset, length as u64, place)
        } else {
            Ok(())
        }
    }

    fn zero(&self, offset: GuestOffset, length: u64, place: &mut Place<'_>) -> Result<(), Failure> {
        let target = self.conversion.target;
        place
            .wait()
            .and_then(|()| target.write_zeroes(offset, length, ZeroFlags::MAY_UNMAP))
            .map_err(|error| writing(offset, error))
    }

    fn write(
        &self,
        offset: GuestOffset,
        data: &mut [u8],
        turn: &mut dyn Turn,
    ) -> Result<(), Failure> {
        let target = self.conversion.target;
        let settings = self.conversion.settings;
        match (settings.compressed_cluster, settings.out_of_order) {
            (Some(_), true) => target.write_compressed(offset, data),
            (Some(_), false) => target.write_compressed_in_turn(offset, data, turn),
            (None, true) => target.write_at_in_place(offset, data),
            (None, false) => target.write_in_turn(offset, data, turn),
        }
        .map_err(|error| writing(offset, error))
    }
}

fn writing(offset: GuestOffset, error: Error) -> Failure {
    Failure {
        step: Step::Writing,
        offset,
        error,
    }
}
