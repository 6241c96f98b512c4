//! How jobs tell how far they are.

use std::sync::atomic::{AtomicU64, Ordering};

/// Somebody who wants to know how far a job is; called from its worker threads.
pub trait Progress: Sync {
    /// `done` of `total` units are done.
    fn report(&self, done: u64, total: u64);
}

/// Nobody listens.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn report(&self, _done: u64, _total: u64) {}
}

/// A counter that parallel workers share.
pub struct Meter<'a> {
    listener: &'a dyn Progress,
    done: AtomicU64,
    total: u64,
}

impl<'a> Meter<'a> {
    /// Starts at 0 of `total`, and says so.
    pub fn start(listener: &'a dyn Progress, total: u64) -> Self {
        listener.report(0, total);
        Self {
            listener,
            done: AtomicU64::new(0),
            total,
        }
    }

    /// `units` more are done.
    pub fn advance(&self, units: u64) {
        let done = self.done.fetch_add(units, Ordering::Relaxed) + units;
        self.listener.report(done.min(self.total), self.total);
    }

    /// All is done.
    pub fn finish(&self) {
        self.listener.report(self.total, self.total);
    }
}
