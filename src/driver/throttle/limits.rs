//! The limits of a group, and which of them can't be together.

use crate::base::{Error, Result};

/// The largest value of any limit.
const MOST: i64 = 1_000_000_000_000_000;

/// One limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Units a second; 0: no limit.
    pub average: i64,
    /// Units a second in bursts; 0: no bursts.
    pub burst: i64,
    /// Seconds that a burst may last.
    pub burst_seconds: i64,
}

impl Default for Limit {
    fn default() -> Self {
        Self {
            average: 0,
            burst: 0,
            burst_seconds: 1,
        }
    }
}

/// The limits of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes: all, read, written.
    pub bytes: [Limit; 3],
    /// Requests: all, read, written.
    pub requests: [Limit; 3],
    /// Bytes that count as one request; 0: however many.
    pub request_bytes: i64,
}

impl Limits {
    /// Refuses what contradicts itself, in the real tools' order.
    pub fn check(&self) -> Result<()> {
        let both = |[all, read, write]: [Limit; 3], part: fn(&Limit) -> i64| {
            part(&all) != 0 && (part(&read) != 0 || part(&write) != 0)
        };
        let mixed = [self.bytes, self.requests]
            .into_iter()
            .any(|limits| both(limits, |limit| limit.average) || both(limits, |limit| limit.burst));
        if mixed {
            return Err(Error::caller(
                "bps/iops/max total values and read/write values cannot be used at the same time",
            ));
        }
        if self.request_bytes != 0 && self.requests.iter().all(|limit| limit.average == 0) {
            return Err(Error::caller("iops size requires an iops value to be set"));
        }
        self.bytes
            .iter()
            .chain(&self.requests)
            .try_for_each(Limit::check)
    }
}

impl Limit {
    fn check(&self) -> Result<()> {
        let range = 0..=MOST;
        if !range.contains(&self.average) || !range.contains(&self.burst) {
            return Err(Error::caller(format!(
                "bps/iops/max values must be within [0, {MOST}]"
            )));
        }
        let words = if self.burst_seconds == 0 {
            "the burst length cannot be 0"
        } else if self.burst_seconds > 1 && self.burst == 0 {
            "burst length set without burst rate"
        } else if self.burst != 0 && self.average == 0 {
            "bps_max/iops_max require corresponding bps/iops values"
        } else if self.burst != 0 && self.burst < self.average {
            "bps_max/iops_max cannot be lower than bps/iops"
        } else {
            return Ok(());
        };
        Err(Error::caller(words))
    }
}
