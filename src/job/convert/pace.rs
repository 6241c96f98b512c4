//! Not faster than so many bytes a second.

use std::num::NonZero;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// A shared clock that workers wait on.
pub(super) struct Pace {
    bytes_per_second: NonZero<u64>,
    next: Mutex<Instant>,
}

impl Pace {
    /// `None` for 0, which is no limit.
    pub(super) fn new(bytes_per_second: u64) -> Option<Self> {
        Some(Self {
            bytes_per_second: NonZero::new(bytes_per_second)?,
            next: Mutex::new(Instant::now()),
        })
    }

    /// Waits until everything taken before is paid for, then takes `bytes`.
    pub(super) fn take(&self, bytes: u64) {
        let cost = Duration::from_nanos(
            u64::try_from(
                u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second.get()),
            )
            .unwrap_or(u64::MAX),
        );
        let now = Instant::now();
        let start = {
            let mut next = self.next.lock();
            let start = (*next).max(now);
            *next = start.checked_add(cost).unwrap_or(start);
            start
        };
        std::thread::sleep(start.saturating_duration_since(now));
    }
}
