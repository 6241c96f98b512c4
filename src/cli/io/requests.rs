//! Requests on their way (`aio_read`, `aio_write`) and the moments at which their results are printed.
//!
//! The real tool prints results when its event loop runs: in commands that wait, between lines of standard input,
//! at the end. Of several that are ready, the one asked for last is printed first.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// How long requests that don't stand at a breakpoint get to end while others do.
const GRACE: Duration = Duration::from_millis(20);

/// What is printed when a request is done.
type Text = String;

#[derive(Default)]
struct State {
    running: usize,
    done: Vec<(u64, Text)>,
}

/// The requests of one session.
#[derive(Default)]
pub(super) struct Requests {
    shared: Arc<(Mutex<State>, Condvar)>,
    next: u64,
    /// Started and not yet printed.
    unprinted: usize,
}

impl Requests {
    /// Runs `work` on a thread of its own; its text is printed later.
    pub(super) fn start(&mut self, work: impl FnOnce() -> Text + Send + 'static) {
        let number = self.next;
        self.next += 1;
        self.unprinted += 1;
        self.shared.0.lock().running += 1;
        let shared = Arc::clone(&self.shared);
        std::thread::spawn(move || {
            let text = work();
            let mut state = shared.0.lock();
            state.running -= 1;
            state.done.push((number, text));
            shared.1.notify_all();
        });
    }

    /// True when there is something to wait for or to print.
    pub(super) const fn pending(&self) -> bool {
        self.unprinted > 0
    }

    /// The texts of what is done.
    pub(super) fn finished(&mut self) -> Vec<Text> {
        let mut done = std::mem::take(&mut self.shared.0.lock().done);
        self.unprinted -= done.len();
        done.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        done.into_iter().map(|(_, text)| text).collect()
    }

    /// Waits for all but those that can't end while others stand at a breakpoint (`held` tells), and gives the
    /// texts of those not printed yet.
    pub(super) fn all(&mut self, held: impl Fn() -> bool) -> Vec<Text> {
        let mut state = self.shared.0.lock();
        let mut done = state.done.len();
        while state.running > 0 {
            let waited_in_vain = self.shared.1.wait_for(&mut state, GRACE).timed_out();
            if waited_in_vain && state.done.len() == done && held() {
                break;
            }
            done = state.done.len();
        }
        drop(state);
        self.finished()
    }
}
