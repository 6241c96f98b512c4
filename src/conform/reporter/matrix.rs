//! Tests down, subjects across.

use std::collections::BTreeMap;

use anstyle::AnsiColor;

use super::diff::Palette;
use crate::conform::event::{CaseName, Outcome};

/// The results so far.
#[derive(Debug, Default)]
pub struct Matrix {
    subjects: Vec<String>,
    rows: BTreeMap<(String, String), BTreeMap<String, &'static str>>,
}

impl Matrix {
    /// A column.
    pub fn add_subject(&mut self, name: &str) {
        self.subjects.push(name.to_owned());
    }

    /// How many columns.
    pub fn subjects(&self) -> usize {
        self.subjects.len()
    }

    /// A cell.
    pub fn add(&mut self, case: &CaseName, outcome: &Outcome) {
        let word = match outcome {
            Outcome::Pass => "pass",
            Outcome::Fail { .. } => "FAIL",
            Outcome::Skipped { .. } => "skip",
        };
        self.rows
            .entry((case.test.clone(), case.format.clone()))
            .or_default()
            .insert(case.subject.clone(), word);
    }

    /// The table as text.
    pub fn draw(&self, palette: Palette) -> String {
        use std::fmt::Write as _;
        let labels: Vec<String> = self
            .rows
            .keys()
            .map(|(test, format)| format!("{test} {format}"))
            .collect();
        let first = labels.iter().map(String::len).max().unwrap_or_default();
        let mut text = format!("{:first$}", "");
        for subject in &self.subjects {
            let _ = write!(text, "  {subject:4}");
        }
        text.push('\n');
        for (label, cells) in labels.iter().zip(self.rows.values()) {
            let _ = write!(text, "{label:first$}");
            for subject in &self.subjects {
                let word = cells.get(subject).copied().unwrap_or("-");
                let width = subject.chars().count().max(4);
                let cell = format!("{word:width$}");
                let cell = match word {
                    "pass" => palette.paint(AnsiColor::Green, &cell),
                    "FAIL" => palette.paint(AnsiColor::Red, &cell),
                    _ => palette.paint(AnsiColor::Yellow, &cell),
                };
                let _ = write!(text, "  {cell}");
            }
            text.push('\n');
        }
        text
    }
}
