//! The signals that the tools keep from their process.

use nix::sys::signal::{SigSet, Signal, raise};

/// Those that the real tools hold back as well (its threads' `SigBlk`), so that none of them ends the process: a file
/// that grows beyond `ulimit -f` is an error of that write, EFBIG, as one on a full disk is.
const HELD: [Signal; 4] = [
    Signal::SIGXFSZ,
    Signal::SIGUSR1,
    Signal::SIGALRM,
    Signal::SIGIO,
];

/// For this thread and those that it starts.
pub fn hold() {
    let set: SigSet = HELD.into_iter().collect();
    // Can't fail: the set and the way of its use are valid.
    let _ = set.thread_block();
}

/// Sends this process a signal as if nobody held it back, except those that the real tool does hold.
pub fn send(signal: Signal) {
    match signal {
        // The real tool holds it in the threads that write only.
        Signal::SIGXFSZ => {
            let _ = SigSet::from(signal).thread_unblock();
        }
        // The first one ends the standard library's watch over the stack.
        Signal::SIGSEGV => {
            let _ = raise(signal);
        }
        _ => {}
    }
    let _ = raise(signal);
}
