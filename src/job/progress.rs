//! How jobs tell how far they are.

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
    done: Mutex<u64>,
    total: u64,
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
            done: Mutex::new(done),
            total,
        }
    }

    /// `units` more are done.
    pub fn advance(&self, units: u64) {
        let mut done = self.done.lock();
        *done += units;
        self.listener.report((*done).min(self.total), self.total);
    }
}
