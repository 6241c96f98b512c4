//! How jobs tell how far they are.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// Somebody who wants to know how far a job is; called from its worker threads.
pub trait Progress: Sync {
    /// `done` of `total` units are done.
    fn report(&self, done: u64, total: u64);

    /// False when nobody listens, so that nobody has to count.
    fn wanted(&self) -> bool {
        true
    }
}

/// Nobody listens.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn report(&self, _done: u64, _total: u64) {}

    fn wanted(&self) -> bool {
        false
    }
}

/// A counter that parallel workers share.
pub struct Meter<'a> {
    listener: &'a dyn Progress,
    /// Held while the listener is told, so that it hears of growing numbers only.
    done: Mutex<Done>,
    total: u64,
}

#[derive(Default)]
struct Done {
    units: u64,
    /// The ticket that counts next.
    ticket: u64,
    /// Units of tickets that were done before their turn.
    early: BTreeMap<u64, u64>,
}

impl<'a> Meter<'a> {
    /// Starts at 0 of `total`.
    pub fn new(listener: &'a dyn Progress, total: u64) -> Self {
        Self::starting_at(listener, 0, total)
    }

    /// Goes on at `done` of `total`.
    pub fn starting_at(listener: &'a dyn Progress, done: u64, total: u64) -> Self {
        Self {
            listener,
            done: Mutex::new(Done {
                units: done,
                ..Done::default()
            }),
            total,
        }
    }

    /// `units` more are done.
    pub fn advance(&self, units: u64) {
        self.count(&mut self.done.lock(), units);
    }

    /// The same for one piece of a whole that is dealt out in tickets: told of in their order, whichever is done first.
    pub fn advance_in_order(&self, ticket: u64, units: u64) {
        let mut done = self.done.lock();
        done.early.insert(ticket, units);
        let mut next = done.ticket;
        while let Some(units) = done.early.remove(&next) {
            self.count(&mut done, units);
            next += 1;
            done.ticket = next;
        }
    }

    fn count(&self, done: &mut Done, units: u64) {
        done.units += units;
        self.listener.report(done.units.min(self.total), self.total);
    }
}
