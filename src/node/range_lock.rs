//! Which parts of an image are being changed right now.

use std::ops::Range;

use parking_lot::{Condvar, Mutex};

/// Exclusive locks on ranges of a guest disk. Disjoint ranges don't wait for each other.
#[derive(Debug, Default)]
pub struct RangeLocks {
    held: Mutex<Vec<Range<u64>>>,
    released: Condvar,
}

/// A locked range; dropping it lets waiters go on.
#[derive(Debug)]
pub struct RangeGuard<'a> {
    locks: &'a RangeLocks,
    range: Range<u64>,
}

impl RangeLocks {
    /// Waits until nobody holds a byte of `range`, and holds it.
    pub fn lock(&self, range: Range<u64>) -> RangeGuard<'_> {
        let mut held = self.held.lock();
        while held
            .iter()
            .any(|other| other.start < range.end && range.start < other.end)
        {
            self.released.wait(&mut held);
        }
        held.push(range.clone());
        RangeGuard { locks: self, range }
    }
}

impl Drop for RangeGuard<'_> {
    fn drop(&mut self) {
        let mut held = self.locks.held.lock();
        if let Some(index) = held.iter().position(|other| *other == self.range) {
            held.swap_remove(index);
        }
        self.locks.released.notify_all();
    }
}

#[cfg(test)]
mod tests;
