//! What a check says, up to a limit.

use crate::base::limits::CHECK_MAX_LINES;
use crate::format::qcow2::check::Finding;
use crate::node::CheckReport;

/// Findings on their way to the user, and the counts that they make.
pub(super) struct Lines<'a> {
    sink: &'a mut dyn FnMut(&str),
    said: u64,
    /// The counts so far.
    pub(super) report: CheckReport,
}

impl<'a> Lines<'a> {
    pub(super) fn new(sink: &'a mut dyn FnMut(&str)) -> Self {
        Self {
            sink,
            said: 0,
            report: CheckReport::default(),
        }
    }

    /// Says a line (or some), unless so much was said that nobody reads it: an image of a few kilobytes can hold
    /// billions of faults.
    pub(super) fn say(&mut self, words: &str) {
        for line in words.split('\n') {
            self.said += 1;
            if self.said <= CHECK_MAX_LINES {
                (self.sink)(line);
            } else if self.said == CHECK_MAX_LINES + 1 {
                (self.sink)("Too many findings: the others are only counted");
            }
        }
    }

    fn say_often(&mut self, line: &str, times: u64) {
        let shown = times.min(CHECK_MAX_LINES.saturating_sub(self.said) + 1);
        for _ in 0..shown {
            self.say(line);
        }
        self.said += times - shown;
    }

    /// A corruption, `times` times.
    pub(super) fn corruption(&mut self, finding: &Finding, times: u64) {
        self.report.corruptions += times;
        self.say_often(&finding.to_string(), times);
    }

    /// A corruption that is being repaired.
    pub(super) fn repaired(&mut self, finding: &Finding) {
        self.report.corruptions_fixed += 1;
        self.say(&finding.repairing());
    }

    /// A count that is not what it should be.
    pub(super) fn wrong_count(&mut self, cluster: u64, refcount: u64, reference: u64, fix: bool) {
        let leaked = refcount > reference;
        let finding = if leaked {
            Finding::Leaked {
                cluster,
                refcount,
                reference,
            }
        } else {
            Finding::TooLow {
                cluster,
                refcount,
                reference,
            }
        };
        let report = &mut self.report;
        *match (leaked, fix) {
            (true, false) => &mut report.leaks,
            (true, true) => &mut report.leaks_fixed,
            (false, false) => &mut report.corruptions,
            (false, true) => &mut report.corruptions_fixed,
        } += 1;
        if fix {
            self.say(&finding.repairing());
        } else {
            self.say(&finding.to_string());
        }
    }
}

/// Findings of one table, kept until it is its turn.
#[derive(Default)]
pub(super) struct Kept {
    /// In order, with how often each.
    pub(super) list: Vec<(Finding, u64)>,
    /// Findings that were only counted.
    pub(super) uncounted: u64,
}

impl Kept {
    /// Keeps a finding unless more than `budget` are kept by all tables together.
    pub(super) fn push(
        &mut self,
        finding: Finding,
        times: u64,
        budget: &std::sync::atomic::AtomicU64,
    ) {
        use std::sync::atomic::Ordering;
        if budget.fetch_add(1, Ordering::Relaxed) < CHECK_MAX_LINES {
            self.list.push((finding, times));
        } else {
            self.uncounted += times;
        }
    }
}
