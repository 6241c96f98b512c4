//! Requests on threads of their own: whether they run, stand still, or have ended, and which of them waited for which.
//!
//! Who starts requests that another can hold up (at a breakpoint, by mapping the same cluster) can wait until all stand
//! still, and then knows what happened before what he does next. Elsewhere nothing here has an effect.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

thread_local! {
    static CURRENT: RefCell<Option<Arc<Request>>> = const { RefCell::new(None) };
    static FILE_USE: Cell<FileUse> = const { Cell::new(FileUse { requests: 0, tables: 0 }) };
}

/// What this thread has asked host files for.
#[derive(Clone, Copy, Debug)]
pub struct FileUse {
    requests: u64,
    tables: u64,
}

impl FileUse {
    /// From now on.
    pub fn start() -> Self {
        FILE_USE.get()
    }

    /// Whether something was read or discarded since.
    pub fn any(self) -> bool {
        FILE_USE.get().requests != self.requests
    }

    /// Whether a table of mappings was read since.
    pub fn any_table(self) -> bool {
        FILE_USE.get().tables != self.tables
    }
}

/// A host file is about to be read or discarded from.
pub fn count_file_request() {
    let used = FILE_USE.get();
    FILE_USE.set(FileUse {
        requests: used.requests.wrapping_add(1),
        ..used
    });
}

/// A table of mappings is about to be read.
pub fn count_table() {
    let used = FILE_USE.get();
    FILE_USE.set(FileUse {
        tables: used.tables.wrapping_add(1),
        ..used
    });
}

#[derive(Default)]
struct Counts {
    running: usize,
    standing: usize,
    /// Changes of the other two.
    changes: u64,
}

/// The requests of one starter.
#[derive(Default)]
pub struct Board {
    counts: Mutex<Counts>,
    changed: Condvar,
}

/// One request.
pub struct Request {
    board: Arc<Board>,
    standing: AtomicBool,
    ended: AtomicBool,
    stage: AtomicU32,
    reported: AtomicBool,
}

/// The request of this thread, if it has one.
pub fn current() -> Option<Arc<Request>> {
    CURRENT.with_borrow(Clone::clone)
}

/// This thread's request waits, or would have waited, for one of that stage.
pub fn follow(earlier: u32) {
    if let Some(request) = current() {
        let stage = earlier.saturating_add(1);
        request.stage.fetch_max(stage, Ordering::Relaxed);
    }
}

impl Board {
    /// A request that runs from now on.
    pub fn begin(self: &Arc<Self>) -> Arc<Request> {
        let mut counts = self.counts.lock();
        counts.running += 1;
        counts.changes += 1;
        Arc::new(Request {
            board: Arc::clone(self),
            standing: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            stage: AtomicU32::new(0),
            reported: AtomicBool::new(false),
        })
    }

    /// Waits until no request runs, or `patience` went by without a change and `enough` says so; the argument tells
    /// whether some stand still.
    pub fn settle(&self, patience: Duration, enough: impl Fn(bool) -> bool) {
        let mut counts = self.counts.lock();
        while counts.running > 0 {
            let before = counts.changes;
            let in_vain = self.changed.wait_for(&mut counts, patience).timed_out();
            if in_vain && counts.changes == before && enough(counts.standing > 0) {
                return;
            }
        }
    }

    /// Waits until all requests have ended.
    pub fn drain(&self) {
        let mut counts = self.counts.lock();
        while counts.running + counts.standing > 0 {
            self.changed.wait(&mut counts);
        }
    }

    fn change(&self, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.lock();
        change(&mut counts);
        counts.changes += 1;
        self.changed.notify_all();
    }
}

impl Request {
    /// Carries it out on this thread.
    pub fn run<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> T {
        CURRENT.set(Some(Arc::clone(self)));
        let outcome = work();
        CURRENT.set(None);
        outcome
    }

    /// It stands still: somebody else has to let it go on.
    pub fn stand(&self) {
        if !self.standing.swap(true, Ordering::AcqRel) {
            self.board.change(|counts| {
                counts.running -= 1;
                counts.standing += 1;
            });
        }
    }

    /// It runs again. Whoever lets it go on says so, before it does.
    pub fn go_on(&self) {
        if self.standing.swap(false, Ordering::AcqRel) {
            self.board.change(|counts| {
                counts.running += 1;
                counts.standing -= 1;
            });
        }
    }

    /// It has ended.
    pub fn end(&self) {
        self.go_on();
        self.ended.store(true, Ordering::Release);
        self.board.change(|counts| counts.running -= 1);
    }

    /// Waits until it has ended or stands still.
    pub fn await_rest(&self) {
        let mut counts = self.board.counts.lock();
        while !self.ended.load(Ordering::Acquire) && !self.standing.load(Ordering::Acquire) {
            self.board.changed.wait(&mut counts);
        }
    }

    /// How many others it waited for, one after the other.
    pub fn stage(&self) -> u32 {
        self.stage.load(Ordering::Relaxed)
    }

    /// Its end was noticed: nothing depends on it any more.
    pub fn report(&self) {
        self.reported.store(true, Ordering::Release);
    }

    /// Whether its end was noticed.
    pub fn is_reported(&self) -> bool {
        self.reported.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests;
