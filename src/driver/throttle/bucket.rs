//! A group: buckets that fill with what is done and leak at the limit's rate.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::limits::{Limit, Limits};

/// Without bursts, so much of a second's worth may be done at once.
const SLACK: f64 = 0.1;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    limit: Limit,
    level: f64,
    leaked: Instant,
}

impl Bucket {
    fn new(limit: Limit) -> Self {
        Self {
            limit,
            level: 0.0,
            leaked: Instant::now(),
        }
    }

    /// Adds `units`, and says how long whoever does them has to wait before.
    #[expect(
        clippy::cast_precision_loss,
        reason = "rates are no more exact than clocks"
    )]
    fn add(&mut self, units: f64, now: Instant) -> Duration {
        if self.limit.average == 0 {
            return Duration::ZERO;
        }
        let rate = self.limit.average as f64;
        let passed = now.saturating_duration_since(self.leaked).as_secs_f64();
        self.level = (self.level - passed * rate).max(0.0);
        self.leaked = now;
        let room = if self.limit.burst == 0 {
            rate * SLACK
        } else {
            self.limit.burst as f64 * self.limit.burst_seconds as f64
        };
        let over = self.level - room;
        self.level += units;
        if over > 0.0 {
            Duration::from_secs_f64(over / rate)
        } else {
            Duration::ZERO
        }
    }
}

/// Nodes that share limits.
#[derive(Debug)]
pub struct Group {
    request_bytes: i64,
    /// Bytes, then requests: all, read, written.
    buckets: Mutex<[[Bucket; 3]; 2]>,
}

impl Group {
    /// A group with limits that have been checked.
    pub fn new(limits: &Limits) -> Self {
        Self {
            request_bytes: limits.request_bytes,
            buckets: Mutex::new([
                limits.bytes.map(Bucket::new),
                limits.requests.map(Bucket::new),
            ]),
        }
    }

    /// Waits until `bytes` may be read or written.
    #[expect(
        clippy::cast_precision_loss,
        reason = "rates are no more exact than clocks"
    )]
    pub(super) fn wait(&self, bytes: u64, write: bool) {
        let side = if write { 2 } else { 1 };
        let requests = if self.request_bytes > 0 {
            (bytes as f64 / self.request_bytes as f64).max(1.0)
        } else {
            1.0
        };
        let now = Instant::now();
        let mut longest = Duration::ZERO;
        {
            let mut buckets = self.buckets.lock();
            for (kind, units) in buckets.iter_mut().zip([bytes as f64, requests]) {
                for (index, bucket) in kind.iter_mut().enumerate() {
                    if index == 0 || index == side {
                        longest = longest.max(bucket.add(units, now));
                    }
                }
            }
        }
        if !longest.is_zero() {
            std::thread::sleep(longest);
        }
    }
}
