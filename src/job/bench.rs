//! Many requests of one size, several at a time.

use parking_lot::Mutex;

use crate::base::{Error, GuestOffset, Result};
use crate::node::SharedNode;

/// What to send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bench {
    /// Requests.
    pub count: u64,
    /// Bytes of each.
    pub size: u32,
    /// Where the first one goes.
    pub offset: u64,
    /// How much further the next one goes; past the end it goes on at the start.
    pub step: u64,
    /// Writes, not reads.
    pub write: bool,
    /// The byte that is written.
    pub pattern: u8,
    /// A flush after that many requests.
    pub flush_interval: Option<u64>,
    /// Requests at a time.
    pub workers: usize,
}

/// The next request.
#[derive(Debug)]
struct Next {
    sent: u64,
    offset: u64,
    failure: Option<Error>,
}

/// Sends the requests; the first error ends the run.
pub fn run(node: &SharedNode, bench: &Bench) -> Result<()> {
    let length = node.length()?.max(1);
    let next = Mutex::new(Next {
        sent: 0,
        offset: bench.offset,
        failure: None,
    });
    std::thread::scope(|scope| {
        for _ in 0..bench.workers.max(1) {
            scope.spawn(|| {
                if let Err(error) = work(node, bench, length, &next) {
                    next.lock().failure.get_or_insert(error);
                }
            });
        }
    });
    match next.into_inner().failure {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn work(node: &SharedNode, bench: &Bench, length: u64, next: &Mutex<Next>) -> Result<()> {
    let size = usize::try_from(bench.size).map_err(|_| Error::eio())?;
    let mut buffer = vec![bench.pattern; size];
    loop {
        let (offset, flush) = {
            let mut next = next.lock();
            if next.sent == bench.count || next.failure.is_some() {
                return Ok(());
            }
            let offset = next.offset;
            next.sent += 1;
            next.offset = offset.saturating_add(bench.step) % length;
            let flush = bench
                .flush_interval
                .is_some_and(|interval| next.sent.is_multiple_of(interval));
            (GuestOffset::new(offset), flush)
        };
        if bench.write {
            node.write_at(offset, &buffer)?;
        } else {
            node.read_at(offset, &mut buffer)?;
        }
        if flush {
            node.flush()?;
        }
    }
}

#[cfg(test)]
mod tests;
