//! The order of the disk among workers.

use std::collections::BTreeSet;

use parking_lot::{Condvar, Mutex};

use crate::base::{Error, Result};
use crate::node::Turn;

#[derive(Default)]
struct State {
    /// The ticket whose turn it is.
    current: u64,
    /// Tickets that passed before their turn came.
    passed: BTreeSet<u64>,
    called_off: bool,
}

/// A queue of tickets, each held by one worker.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    moved: Condvar,
}

impl Queue {
    /// Nobody's turn comes any more.
    pub(super) fn call_off(&self) {
        self.state.lock().called_off = true;
        self.moved.notify_all();
    }

    pub(super) fn called_off(&self) -> bool {
        self.state.lock().called_off
    }

    pub(super) fn place(&self, ticket: u64, ordered: bool) -> Place<'_> {
        Place {
            queue: self,
            ticket,
            ordered,
            passed: false,
            called_off: false,
        }
    }
}

/// One ticket's place.
pub(super) struct Place<'a> {
    queue: &'a Queue,
    ticket: u64,
    ordered: bool,
    passed: bool,
    called_off: bool,
}

impl Place<'_> {
    /// True when waiting ended because an earlier writer failed: what fails then is not the reason.
    pub(super) const fn called_off(&self) -> bool {
        self.called_off
    }
}

impl Drop for Place<'_> {
    /// A worker that panics would keep the others waiting for ever.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.queue.call_off();
        }
    }
}

impl Turn for Place<'_> {
    fn wait(&mut self) -> Result<()> {
        if !self.ordered || self.passed {
            return Ok(());
        }
        let queue = self.queue;
        let mut state = queue.state.lock();
        while state.current != self.ticket && !state.called_off {
            queue.moved.wait(&mut state);
        }
        if state.current == self.ticket {
            return Ok(());
        }
        self.called_off = true;
        Err(Error::eio())
    }

    fn pass(&mut self) {
        if self.passed {
            return;
        }
        self.passed = true;
        if !self.ordered {
            return;
        }
        let mut state = self.queue.state.lock();
        state.passed.insert(self.ticket);
        loop {
            let current = state.current;
            if !state.passed.remove(&current) {
                break;
            }
            state.current += 1;
        }
        drop(state);
        self.queue.moved.notify_all();
    }
}

/// A turn that stays with its holder: for all but the last write of a piece.
pub(super) struct Held<'a, 'b>(pub(super) &'a mut Place<'b>);

impl Turn for Held<'_, '_> {
    fn wait(&mut self) -> Result<()> {
        self.0.wait()
    }

    fn pass(&mut self) {}
}
