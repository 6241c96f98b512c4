//! For CI servers: a `JUnit` file, a suite a subject.

use std::collections::BTreeMap;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::diff::{Palette, unified};
use crate::conform::event::{CaseName, Event, Outcome};

/// Collects events; the file is written at the end.
#[derive(Debug, Default)]
pub struct JunitReporter {
    suites: BTreeMap<String, Vec<TestCase>>,
}

impl JunitReporter {
    /// Takes note of one event.
    pub fn observe(&mut self, event: &Event) {
        if let Event::CaseFinished {
            case,
            outcome,
            duration_ms,
        } = event
        {
            let mut entry = TestCase::new(
                format!("{}.{}", case.test, case.format),
                status(case, outcome),
            );
            entry.set_classname(case.subject.clone());
            entry.set_time(Duration::from_millis(*duration_ms));
            self.suites
                .entry(case.subject.clone())
                .or_default()
                .push(entry);
        }
    }

    /// The whole report.
    pub fn to_xml(&self) -> Result<String, quick_junit::SerializeError> {
        let mut report = Report::new("cowproof");
        for (name, cases) in &self.suites {
            let mut suite = TestSuite::new(name.clone());
            suite.add_test_cases(cases.iter().cloned());
            report.add_test_suite(suite);
        }
        report.to_string()
    }
}

fn status(case: &CaseName, outcome: &Outcome) -> TestCaseStatus {
    match outcome {
        Outcome::Pass => TestCaseStatus::success(),
        Outcome::Skipped { reason } => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(reason.clone());
            status
        }
        Outcome::Fail {
            reason,
            expected,
            actual,
        } => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(reason.clone());
            let diff = unified(
                expected,
                actual,
                "golden",
                &case.subject,
                Palette::default(),
            );
            status.set_description(diff);
            status
        }
    }
}

#[cfg(test)]
mod tests;
