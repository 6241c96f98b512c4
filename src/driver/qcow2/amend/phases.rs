//! How far an amendment of several phases is.

use crate::node::amend::AmendProgress;

/// Each phase's work is known when it begins; the ones to come are taken for as long as the present one.
pub(super) struct Phases<'a> {
    listener: AmendProgress<'a>,
    count: u64,
    completed: u64,
    /// Work of the phases behind.
    work_before: u64,
    /// Work of the present phase, once it reported.
    work: Option<u64>,
}

impl<'a> Phases<'a> {
    pub(super) const fn new(listener: AmendProgress<'a>, count: u64) -> Self {
        Self {
            listener,
            count,
            completed: 0,
            work_before: 0,
            work: None,
        }
    }

    /// The phase before, if any, is over.
    pub(super) fn begin(&mut self) {
        if let Some(work) = self.work.take() {
            self.completed += 1;
            self.work_before = self.work_before.saturating_add(work);
        }
    }

    /// `done` of `total` of the present phase.
    pub(super) fn report(&mut self, done: u64, total: u64) {
        self.work = Some(total);
        let left = self.count.saturating_sub(self.completed).max(1);
        let whole = self.work_before.saturating_add(total.saturating_mul(left));
        (self.listener)(self.work_before.saturating_add(done), whole);
    }
}
