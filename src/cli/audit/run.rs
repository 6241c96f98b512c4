//! The run: files in parallel, then what only shows between files, then the outputs.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;

use super::walk::{self, Found};
use super::{AuditArguments, EXIT_FOUND, EXIT_NOT_AUDITED, Output, html, json, text};
use crate::audit::{self, AuditOptions, ImageReport, Severity, against, siblings};
use crate::base::Error;

/// One file's outcome.
pub(super) struct Audited {
    pub(super) file: Found,
    pub(super) outcome: Result<ImageReport, Error>,
}

type Failure = Box<dyn std::error::Error>;

/// Audits and reports; gives the exit code.
pub(super) fn run(arguments: &AuditArguments) -> Result<u8, Failure> {
    let options = AuditOptions {
        full: arguments.full,
        expected_slots: arguments.expected_slots,
        ..AuditOptions::default()
    };
    let files = walk::find(&arguments.images)?;
    if arguments.against.is_some() && files.len() != 1 {
        return Err("--against compares one image with its older copy".into());
    }
    if arguments.data_file.is_some() && files.len() != 1 {
        return Err("--data-file is one image's".into());
    }
    let data = arguments.data_file.as_deref();
    let mut audited = audit_all(files, data, &options, arguments.jobs);
    if let (Some(older), [one]) = (&arguments.against, audited.as_mut_slice())
        && let Ok(report) = &mut one.outcome
    {
        match against::compare(&one.file.path, older, &options) {
            Ok(findings) => findings.into_iter().for_each(|finding| report.add(finding)),
            Err(error) => {
                let words = format!("against '{}': ", older.display());
                one.outcome = Err(error.prefixed(words));
            }
        }
    }
    let mut reports: Vec<&mut ImageReport> = audited
        .iter_mut()
        .filter_map(|one| one.outcome.as_mut().ok())
        .collect();
    siblings::compare(&mut reports);
    print(arguments, &audited)?;
    if let Some(path) = &arguments.html {
        let reports = audited.iter().filter_map(|one| one.outcome.as_ref().ok());
        std::fs::write(path, html::page(reports))
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(exit_code(&audited, arguments.fail_on.into()))
}

fn exit_code(audited: &[Audited], fail_on: Severity) -> u8 {
    if audited.iter().any(|one| one.outcome.is_err()) {
        return EXIT_NOT_AUDITED;
    }
    let reports = audited.iter().filter_map(|one| one.outcome.as_ref().ok());
    let worst = reports.filter_map(ImageReport::worst).max();
    if worst.is_some_and(|worst| worst >= fail_on) {
        EXIT_FOUND
    } else {
        0
    }
}

/// All files, `jobs` at a time, in the order given.
fn audit_all(
    files: Vec<Found>,
    data: Option<&Path>,
    options: &AuditOptions,
    jobs: usize,
) -> Vec<Audited> {
    let bar = progress_bar(files.len());
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, files.len().max(1)) {
            scope.spawn(|| {
                while let Some((index, file)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    files.get(index).map(|file| (index, file))
                } {
                    bar.set_message(file.path.display().to_string());
                    let outcome = audit::audit_with(&file.path, data, options);
                    outcomes.lock().push((index, outcome));
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    let mut outcomes = outcomes.into_inner();
    outcomes.sort_by_key(|(index, _)| *index);
    let outcomes = outcomes.into_iter().map(|(_, outcome)| outcome);
    files
        .into_iter()
        .zip(outcomes)
        .map(|(file, outcome)| Audited { file, outcome })
        .collect()
}

/// On a terminal only: a log wants none.
fn progress_bar(files: usize) -> ProgressBar {
    let target = if io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(files as u64), target);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {wide_msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    bar
}

fn print(arguments: &AuditArguments, audited: &[Audited]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let palette = text::Palette::for_stdout();
    for (index, one) in audited.iter().enumerate() {
        match (arguments.output, &one.outcome) {
            (Output::Json, _) => writeln!(out, "{}", json::line(one))?,
            (Output::Text, Ok(report)) => {
                if index > 0 {
                    writeln!(out)?;
                }
                text::write(&mut out, report, palette)?;
            }
            (Output::Text, Err(error)) => {
                out.flush()?;
                eprintln!("cowproof audit: {}: {error}", one.file.path.display());
            }
        }
    }
    out.flush()
}
