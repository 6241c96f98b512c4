//! For people: a line a case, diffs of what failed, the matrix, the counts.

use std::io::{self, Write};

use anstyle::AnsiColor;

use super::diff::{Palette, unified};
use super::matrix::Matrix;
use crate::conform::event::{CaseName, Event, Outcome};

/// Writes as events come; the last line is the counts.
#[derive(Debug)]
pub struct TerminalReporter<W> {
    out: W,
    palette: Palette,
    matrix: Matrix,
}

impl<W: Write> TerminalReporter<W> {
    /// A reporter that writes to `out`.
    pub fn new(out: W, palette: Palette) -> Self {
        Self {
            out,
            palette,
            matrix: Matrix::default(),
        }
    }

    /// Tells one event.
    pub fn observe(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::RunStarted { subjects, cases } => {
                for subject in subjects {
                    self.matrix.add_subject(&subject.name);
                    let version = subject.version.as_deref().unwrap_or("not here");
                    writeln!(self.out, "subject {}: {version}", subject.name)?;
                }
                writeln!(self.out, "running {cases} tests")
            }
            Event::CaseStarted { .. } => Ok(()),
            Event::CaseFinished {
                case,
                outcome,
                duration_ms,
            } => {
                self.matrix.add(case, outcome);
                self.case(case, outcome, *duration_ms)
            }
            Event::RunFinished { summary, .. } => {
                if self.matrix.subjects() > 1 {
                    write!(self.out, "\n{}", self.matrix.draw(self.palette))?;
                }
                writeln!(self.out, "\n{summary}")?;
                self.out.flush()
            }
        }
    }

    fn case(&mut self, case: &CaseName, outcome: &Outcome, duration_ms: u64) -> io::Result<()> {
        let name = if self.matrix.subjects() > 1 {
            format!("{} {} on {}", case.test, case.format, case.subject)
        } else {
            format!("{} {}", case.test, case.format)
        };
        let (seconds, tenths) = (duration_ms / 1000, duration_ms % 1000 / 100);
        let (status, note) = match outcome {
            Outcome::Pass => (self.palette.paint(AnsiColor::Green, "pass"), String::new()),
            Outcome::Fail { reason, .. } => (
                self.palette.paint(AnsiColor::Red, "FAIL"),
                format!(" {reason}"),
            ),
            Outcome::Skipped { reason } => (
                self.palette.paint(AnsiColor::Yellow, "skip"),
                format!(" skipped({reason})"),
            ),
        };
        writeln!(self.out, "{status} {name} ({seconds}.{tenths} s){note}")?;
        if let Outcome::Fail {
            expected, actual, ..
        } = outcome
        {
            let golden = format!("golden/{}.{}.out", case.test, case.format);
            let diff = unified(expected, actual, &golden, &case.subject, self.palette);
            self.out.write_all(diff.as_bytes())?;
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests;
