//! What the runner says while it runs; every report is a view of these.

use serde::Serialize;

/// One thing that happened.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// Before the first case.
    RunStarted {
        /// Names, in the order of the matrix's columns.
        subjects: Vec<SubjectFacts>,
        /// How many cases will be reported.
        cases: usize,
    },
    /// A worker took a case.
    CaseStarted {
        /// Which.
        #[serde(flatten)]
        case: CaseName,
    },
    /// A case has its result.
    CaseFinished {
        /// Which.
        #[serde(flatten)]
        case: CaseName,
        /// How it ended.
        #[serde(flatten)]
        outcome: Outcome,
        /// How long it took.
        duration_ms: u64,
    },
    /// After the last case.
    RunFinished {
        /// The counts.
        #[serde(flatten)]
        summary: Summary,
        /// How long it all took.
        duration_ms: u64,
    },
}

/// A subject, as far as a report is concerned.
#[derive(Clone, Debug, Serialize)]
pub struct SubjectFacts {
    /// Its name.
    pub name: String,
    /// What its `qemu-img --version` says.
    pub version: Option<String>,
}

/// One run of one script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaseName {
    /// On whose tools.
    pub subject: String,
    /// The script.
    pub test: String,
    /// The image format.
    pub format: String,
}

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Outcome {
    /// The output is the golden.
    Pass,
    /// It isn't, or there is none, or the script came to no good end.
    Fail {
        /// In a few words.
        reason: String,
        /// What was expected; empty without a golden.
        expected: String,
        /// What came.
        actual: String,
    },
    /// It could not run here.
    Skipped {
        /// Why.
        reason: String,
    },
}

/// The counts of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Passed.
    pub passed: usize,
    /// Failed.
    pub failed: usize,
    /// Skipped.
    pub skipped: usize,
}

impl Summary {
    /// Counts one outcome.
    pub fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Pass => self.passed += 1,
            Outcome::Fail { .. } => self.failed += 1,
            Outcome::Skipped { .. } => self.skipped += 1,
        }
    }

    /// Nothing failed, and something was run at all.
    pub fn is_success(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}
