//! The runs of one write: planned one after the other, written side by side.

use std::collections::VecDeque;

use super::image::Qcow2;
use super::in_flight::Planned;
use super::plan::WritePlan;
use super::write::Payload;
use crate::base::{Error, GuestOffset, HostOffset, Result};
use crate::node::debug_event::fails_at_once;
use crate::node::{DebugEvent, Turn};

/// Runs of one request that are on their way together.
const SIDE_BY_SIDE: usize = 8;

/// Plans one run after the other.
struct Planner<'a> {
    image: &'a Qcow2,
    next: GuestOffset,
    left: u64,
    previous: Option<HostOffset>,
}

impl<'a> Planner<'a> {
    /// The next run; `None` when it has to wait for another write, and may not.
    fn plan(&mut self, may_wait: bool) -> Result<Option<Planned<'a>>> {
        let image = self.image;
        loop {
            let mut metadata = image.metadata()?;
            let room = image.in_flight.room(&image.geometry, self.next, self.left);
            if let Some(length) = room {
                let plan = metadata.prepare_write(self.next, length, self.previous)?;
                self.previous = plan.neighbour(image.geometry.cluster_size());
                self.next = self.next.plus(plan.length)?;
                self.left -= plan.length;
                return Ok(Some(image.in_flight.track(&image.geometry, plan)));
            }
            drop(metadata);
            if !may_wait {
                return Ok(None);
            }
            image.in_flight.wait(&image.geometry, self.next);
        }
    }
}

/// A run whose data was written, or not; true when bytes that were stored elsewhere were copied.
struct Started<'a> {
    planned: Planned<'a>,
    outcome: Result<bool>,
}

/// How a request goes, once something failed: the first error counts.
struct Course {
    begun: usize,
    /// So many runs are begun at most.
    last: usize,
    failed: Option<Error>,
}

impl Course {
    const fn new() -> Self {
        Self {
            begun: 0,
            last: usize::MAX,
            failed: None,
        }
    }

    const fn may_begin(&self) -> bool {
        self.begun < self.last
    }

    /// A run was begun. When it could not be written, those that are on their way with it are, as in the real tool, and
    /// the one that waits for its place.
    fn note_begun(&mut self, outcome: &Result<bool>) {
        self.begun += 1;
        let Err(error) = outcome else { return };
        let on_their_way = if fails_at_once(error) {
            // Nothing fails before it.
            self.failed.get_or_insert(Error::bare(error.errno()));
            self.begun
        } else {
            (self.begun - 1) / SIDE_BY_SIDE * SIDE_BY_SIDE + SIDE_BY_SIDE + 1
        };
        self.last = self.last.min(on_their_way);
    }

    /// A run ended with an error; where it was not written, the end of the others is known already.
    fn note_failed(&mut self, error: Error) {
        if self.last == usize::MAX {
            self.stop(error);
        } else {
            self.failed.get_or_insert(error);
        }
    }

    /// Nothing more is begun.
    fn stop(&mut self, error: Error) {
        self.last = self.last.min(self.begun);
        self.failed.get_or_insert(error);
    }
}

impl Qcow2 {
    /// Plans, writes and commits runs. Planning is ahead of committing, as in the real tool: what a run replaces is
    /// not free yet when the next one is planned.
    pub(super) fn write_planned(
        &self,
        offset: GuestOffset,
        mut payload: Payload<'_>,
        turn: Option<&mut dyn Turn>,
    ) -> Result<()> {
        let mut planner = Planner {
            image: self,
            next: offset,
            left: payload.bytes().len() as u64,
            previous: None,
        };
        if let Some(turn) = turn {
            return self.write_in_one_turn(&mut planner, payload, turn);
        }
        let mut done = 0;
        let mut course = Course::new();
        let mut started: VecDeque<Started<'_>> = VecDeque::new();
        loop {
            while planner.left > 0 && started.len() < SIDE_BY_SIDE && course.may_begin() {
                // Whoever waits for others holds nothing.
                let planned = match planner.plan(started.is_empty()) {
                    Ok(Some(planned)) => planned,
                    Ok(None) => break,
                    Err(error) => {
                        course.stop(error);
                        break;
                    }
                };
                let length = usize::try_from(planned.plan.length).unwrap_or(usize::MAX);
                let outcome = self.store_run(&planned.plan, payload.piece(done, length));
                done += length;
                course.note_begun(&outcome);
                started.push_back(Started { planned, outcome });
            }
            if let Some(run) = started.pop_front() {
                if let Err(error) = self.end_run(&run.planned.plan, run.outcome) {
                    course.note_failed(error);
                }
            } else if planner.left == 0 || !course.may_begin() {
                return course.failed.map_or(Ok(()), Err);
            }
        }
    }

    /// The same in a queue: everything is planned inside the turn.
    fn write_in_one_turn(
        &self,
        planner: &mut Planner<'_>,
        mut payload: Payload<'_>,
        turn: &mut dyn Turn,
    ) -> Result<()> {
        let mut queue: VecDeque<Planned<'_>> = VecDeque::new();
        while planner.left > 0 {
            // Those before have all they need, and don't wait.
            match planner.plan(true) {
                Ok(planned) => queue.extend(planned),
                Err(error) => {
                    self.abandon_all(queue.iter().map(|planned| &planned.plan));
                    return Err(error);
                }
            }
        }
        turn.pass();
        let mut done = 0;
        while let Some(planned) = queue.pop_front() {
            let length = usize::try_from(planned.plan.length).unwrap_or(usize::MAX);
            let outcome = self.store_run(&planned.plan, payload.piece(done, length));
            if let Err(error) = self.end_run(&planned.plan, outcome) {
                self.abandon_all(queue.iter().map(|planned| &planned.plan));
                return Err(error);
            }
            done += length;
        }
        Ok(())
    }

    fn abandon_all<'a>(&self, plans: impl IntoIterator<Item = &'a WritePlan>) {
        let mut metadata = self.metadata_even_if_dead();
        for change in plans.into_iter().filter_map(|plan| plan.change.as_ref()) {
            metadata.abandon_write(change);
        }
    }

    /// Writes one run's data, with what has to surround it.
    fn store_run(&self, plan: &WritePlan, piece: Payload<'_>) -> Result<bool> {
        if let Some(change) = &plan.change {
            return self.store_with_surroundings(plan, change, piece);
        }
        self.file.debug_event(DebugEvent::WriteAio);
        self.store(plan.guest, plan.host, piece).map(|()| false)
    }

    /// Commits the mapping of a run that was written.
    fn end_run(&self, plan: &WritePlan, outcome: Result<bool>) -> Result<()> {
        let Some(change) = &plan.change else {
            return outcome.map(|_| ());
        };
        match outcome {
            Ok(copied) => {
                #[cfg(feature = "mutants")]
                self.spoil_head(plan, change)?;
                self.metadata()?.commit_write(change, copied)
            }
            Err(error) => {
                self.abandon_all([plan]);
                Err(error)
            }
        }
    }
}
