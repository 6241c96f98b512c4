//! Guest ranges in use: shared, or somebody's own.

use parking_lot::{Condvar, Mutex};

use crate::base::GuestOffset;

#[derive(Clone, Copy, PartialEq, Eq)]
struct Held {
    start: u64,
    end: u64,
    exclusive: bool,
}

impl Held {
    const fn conflicts(&self, other: &Self) -> bool {
        (self.exclusive || other.exclusive) && self.start < other.end && other.start < self.end
    }
}

/// The ranges of one image that are in use.
#[derive(Default)]
pub(super) struct RangeLock {
    held: Mutex<Vec<Held>>,
    released: Condvar,
}

/// A range in use until dropped.
pub(super) struct RangeGuard<'a> {
    lock: &'a RangeLock,
    held: Held,
}

impl RangeLock {
    fn acquire(&self, wanted: Held) -> RangeGuard<'_> {
        let mut held = self.held.lock();
        while held.iter().any(|other| other.conflicts(&wanted)) {
            self.released.wait(&mut held);
        }
        held.push(wanted);
        RangeGuard {
            lock: self,
            held: wanted,
        }
    }

    /// Waits until nobody owns a part of the range, widened to `unit` bytes (a power of two).
    pub(super) fn share(&self, offset: GuestOffset, length: u64, unit: u64) -> RangeGuard<'_> {
        self.take(offset, length, unit, false)
    }

    /// Waits until nobody uses the range, widened in the same way.
    pub(super) fn own(&self, offset: GuestOffset, length: u64, unit: u64) -> RangeGuard<'_> {
        self.take(offset, length, unit, true)
    }

    fn take(&self, offset: GuestOffset, length: u64, unit: u64, exclusive: bool) -> RangeGuard<'_> {
        let end = offset.saturating_plus(length).saturating_plus(unit - 1);
        self.acquire(Held {
            start: offset.align_down(unit).bytes(),
            end: end.align_down(unit).bytes(),
            exclusive,
        })
    }
}

impl Drop for RangeGuard<'_> {
    fn drop(&mut self) {
        let mut held = self.lock.held.lock();
        if let Some(index) = held.iter().position(|other| *other == self.held) {
            held.swap_remove(index);
        }
        drop(held);
        self.lock.released.notify_all();
    }
}

#[cfg(test)]
mod tests;
