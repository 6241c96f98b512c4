//! An error at the Nth request to the file, once or from then on, for every N until a workload has none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::for_each_workload;
use super::judge::Judge;
use super::workload::{Layers, REOPEN, Start};
use crate::base::error::errno;
use crate::base::{Error, GuestOffset, Result};
use crate::driver::memory::Memory;
use crate::driver::qcow2::testing::Operation;
use crate::node::{Extent, Node, Preallocation, SharedNode, ZeroFlags};

const CAP: u64 = 64 << 20;

/// A file in memory whose requests fail when their turn comes.
struct Failing {
    file: Memory,
    requests: AtomicU64,
    /// The first request that fails; none before it is set.
    at: AtomicU64,
    once: bool,
}

impl Failing {
    fn request(&self) -> Result<()> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let at = self.at.load(Ordering::Relaxed);
        if number == at || (number > at && !self.once) {
            return Err(Error::bare(errno::EIO));
        }
        Ok(())
    }
}

impl Node for Failing {
    fn driver(&self) -> &'static str {
        "failing"
    }

    fn filename(&self) -> String {
        "failing:".to_owned()
    }

    fn writable(&self) -> bool {
        true
    }

    fn length(&self) -> Result<u64> {
        self.file.length()
    }

    fn read_at(&self, offset: GuestOffset, buffer: &mut [u8]) -> Result<()> {
        self.request()?;
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: GuestOffset, data: &[u8]) -> Result<()> {
        self.request()?;
        self.file.write_at(offset, data)
    }

    fn write_zeroes(&self, offset: GuestOffset, length: u64, flags: ZeroFlags) -> Result<()> {
        self.request()?;
        self.file.write_zeroes(offset, length, flags)
    }

    fn discard(&self, offset: GuestOffset, length: u64) -> Result<()> {
        self.request()?;
        self.file.discard(offset, length)
    }

    fn flush(&self) -> Result<()> {
        self.request()
    }

    fn resize(&self, length: u64, preallocation: Preallocation) -> Result<()> {
        self.request()?;
        self.file.resize(length, preallocation)
    }

    fn extent(&self, offset: GuestOffset, length: u64) -> Result<Extent> {
        self.file.extent(offset, length)
    }

    fn close(&self) -> Result<()> {
        Ok(())
    }
}

/// Plays a workload with a fault; false when none happened.
fn with_fault(
    start: &Start,
    operations: &[Operation],
    at: u64,
    once: bool,
) -> std::result::Result<bool, String> {
    let file = Arc::new(Failing {
        file: Memory::new(start.bytes.clone(), CAP),
        requests: AtomicU64::new(0),
        at: AtomicU64::new(u64::MAX),
        once,
    });
    let mut image = start.open(Arc::clone(&file) as SharedNode, true, None)?;
    file.requests.store(0, Ordering::Relaxed);
    file.at.store(at, Ordering::Relaxed);
    // What fails may have happened or not, sector by sector; and what succeeds may be lost until it is flushed.
    let mut now = vec![start.layers.clone()];
    let mut since = now.clone();
    let mut gone = None;
    for &operation in operations {
        let done = if operation == REOPEN {
            let closed = image.close();
            match start.open(Arc::clone(&file) as SharedNode, true, None) {
                Ok(opened) => image = opened,
                // A file that fails on does not open either.
                Err(_) if file.requests.load(Ordering::Relaxed) > at => {
                    gone = Some(closed.is_ok());
                    break;
                }
                Err(why) => return Err(format!("opened again: {why}")),
            }
            closed
        } else {
            operation.apply(image.as_ref())
        };
        let after: Vec<Layers> = now
            .iter()
            .cloned()
            .map(|mut layers| {
                layers.apply(operation);
                layers
            })
            .collect();
        match done {
            Ok(()) if operation == Operation::Flush || operation == REOPEN => {
                since.clone_from(&now);
            }
            Ok(()) => now = after,
            Err(_) if operation == REOPEN => now.clone_from(&since),
            Err(_) => now.extend(after),
        }
        since.extend_from_slice(&now);
    }
    let whole = gone.unwrap_or_else(|| image.close().is_ok());
    let candidates = if whole { now } else { since };
    let happened = file.requests.load(Ordering::Relaxed) > at;
    let shortest = candidates
        .iter()
        .map(|layers| layers.disk.len())
        .min()
        .unwrap();
    let candidates: Vec<&Layers> = candidates.iter().collect();
    Judge::new(start, None).file(&file.file.snapshot(), &candidates, shortest)?;
    Ok(happened)
}

#[test]
fn an_error_at_any_request_leaves_leaks_at_worst() {
    let faults = AtomicUsize::new(0);
    for_each_workload(
        super::longest().min(3) - 1,
        &faults,
        |faults, start, operations| {
            for once in [true, false] {
                for at in 0.. {
                    let happened = with_fault(start, operations, at, once)
                        .map_err(|why| format!("request {at} fails, once: {once}: {why}"))?;
                    if !happened {
                        break;
                    }
                    faults.fetch_add(1, Ordering::Relaxed);
                }
            }
            Ok(())
        },
    );
    println!("faults: {}", faults.into_inner());
}
