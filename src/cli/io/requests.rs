//! Requests on their way (`aio_read`, `aio_write`) and the moments at which their results are printed.
//!
//! The real tool prints results when its event loop runs: in commands that wait, between lines of standard input,
//! at the end. Of several that are ready, the one asked for last is printed first, and behind those that it waited
//! for.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::node::progress::{Board, FileUse, Request};

/// How long nothing has to happen before a request counts as held up by something that can't be seen.
const PATIENCE: Duration = Duration::from_millis(50);

/// What is printed when a request is done.
type Text = String;

/// A request that ended.
struct Done {
    number: u64,
    request: Arc<Request>,
    text: Text,
    loaded_a_table: bool,
}

/// The requests of one session.
#[derive(Default)]
pub(super) struct Requests {
    board: Arc<Board>,
    done: Arc<Mutex<Vec<Done>>>,
    next: u64,
    /// Started and not yet printed.
    unprinted: usize,
    /// One of those waits for the disk itself.
    synced: bool,
}

impl Requests {
    /// Runs `work` on a thread of its own, until it stands still or has ended; its text is printed later.
    pub(super) fn start(&mut self, work: impl FnOnce() -> Text + Send + 'static) {
        let number = self.next;
        self.next += 1;
        self.unprinted += 1;
        let request = self.board.begin();
        let done = Arc::clone(&self.done);
        std::thread::spawn(move || {
            let file_use = FileUse::start();
            let text = request.run(work);
            done.lock().push(Done {
                number,
                request: Arc::clone(&request),
                text,
                loaded_a_table: file_use.any_table(),
            });
            request.end();
        });
        self.quiesce();
    }

    /// Waits until all requests have ended or stand still, but not for slow ones.
    pub(super) fn quiesce(&self) {
        self.board.settle(PATIENCE, |_| true);
    }

    /// True when there is something to wait for or to print.
    pub(super) const fn pending(&self) -> bool {
        self.unprinted > 0
    }

    /// The one that is started next is only done when the disk itself has it: commands that are short overtake it.
    pub(super) const fn sync_next(&mut self) {
        self.synced = true;
    }

    /// True when what is on its way ends before a command that waits for a file.
    pub(super) const fn are_short(&self) -> bool {
        self.pending() && !self.synced
    }

    /// True when one of those that ended has read a table of mappings: a command that needs the same table waits for it.
    pub(super) fn loaded_a_table(&self) -> bool {
        self.done.lock().iter().any(|done| done.loaded_a_table)
    }

    /// The texts of what is done.
    pub(super) fn finished(&mut self) -> Vec<Text> {
        let mut done = std::mem::take(&mut *self.done.lock());
        self.unprinted -= done.len();
        self.synced &= self.pending();
        done.sort_by_key(|done| (done.request.stage(), std::cmp::Reverse(done.number)));
        let printed = |done: Done| {
            done.request.report();
            done.text
        };
        done.into_iter().map(printed).collect()
    }

    /// Waits for all but those that can't end while others stand still, and gives the texts of those not printed yet.
    pub(super) fn settled(&mut self) -> Vec<Text> {
        self.board.settle(PATIENCE, |standing| standing);
        self.finished()
    }

    /// Waits for all, for ever if one stands still, and gives the texts of those not printed yet.
    pub(super) fn all(&mut self) -> Vec<Text> {
        self.board.drain();
        self.finished()
    }
}
