//! Runs cases side by side, each in a private directory, and tells what happens as events.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::event::{CaseName, Event, Outcome, SubjectFacts, Summary};
use super::filter::Filter;
use super::golden::GoldenStore;
use super::process::{self, Ending};
use super::script::{Requirement, Script};
use super::subject::{Subject, SubjectKind};

/// Everything a run needs to know.
#[derive(Debug)]
pub struct Plan<'a> {
    /// Who is tested.
    pub subjects: &'a [Subject],
    /// Script and format, each run on every subject.
    pub cases: &'a [(&'a Script, &'a str)],
    /// What is expected.
    pub goldens: &'a GoldenStore,
    /// How many at a time.
    pub jobs: usize,
    /// For one script.
    pub time_limit: Duration,
    /// Private directories are made here.
    pub scratch: PathBuf,
    /// Leave the private directories of failed cases behind.
    pub keep: bool,
    /// This program: scripts have images judged by it, whoever wrote them.
    pub judge: PathBuf,
    /// `PATH` for the scripts' own needs.
    pub search_path: OsString,
}

/// What a script printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Printed {
    /// It ran to its end; this is its filtered output.
    Output(String),
    /// It says that it can't run here.
    Skipped(String),
    /// It came to no good end.
    Broken {
        /// How.
        reason: String,
        /// Its filtered output until then.
        output: String,
    },
}

/// Runs all cases on all subjects. `observe` is called on this thread.
pub fn run(plan: &Plan<'_>, observe: &mut dyn FnMut(&Event)) -> Summary {
    let started = Instant::now();
    let total = plan.cases.len() * plan.subjects.len();
    observe(&Event::RunStarted {
        subjects: plan.subjects.iter().map(facts).collect(),
        cases: total,
    });
    let next = AtomicUsize::new(0);
    let (sender, events) = mpsc::channel();
    let mut summary = Summary::default();
    std::thread::scope(|scope| {
        for _ in 0..plan.jobs.clamp(1, total.max(1)) {
            let sender = sender.clone();
            let next = &next;
            scope.spawn(move || work(plan, next, &sender));
        }
        drop(sender);
        for event in events {
            if let Event::CaseFinished { outcome, .. } = &event {
                summary.count(outcome);
            }
            observe(&event);
        }
    });
    observe(&Event::RunFinished {
        summary,
        duration_ms: milliseconds(started),
    });
    summary
}

fn work(plan: &Plan<'_>, next: &AtomicUsize, sender: &mpsc::Sender<Event>) {
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        // Subjects take turns, so that a matrix fills row by row.
        let Some((script, format)) = plan.cases.get(index / plan.subjects.len().max(1)) else {
            return;
        };
        let subject = &plan.subjects[index % plan.subjects.len()];
        let case = CaseName {
            subject: subject.name.clone(),
            test: script.name.clone(),
            format: (*format).to_owned(),
        };
        let started = Instant::now();
        let _ = sender.send(Event::CaseStarted { case: case.clone() });
        let outcome = judge(plan, subject, script, format).unwrap_or_else(|error| Outcome::Fail {
            reason: format!("the runner could not run it: {error}"),
            expected: String::new(),
            actual: String::new(),
        });
        let _ = sender.send(Event::CaseFinished {
            case,
            outcome,
            duration_ms: milliseconds(started),
        });
    }
}

fn judge(plan: &Plan<'_>, subject: &Subject, script: &Script, format: &str) -> io::Result<Outcome> {
    let package = subject.package.as_deref();
    let golden = plan.goldens.read_for(&script.name, format, package)?;
    let fail = |reason: &str, actual: String| Outcome::Fail {
        reason: reason.to_owned(),
        expected: golden.clone().unwrap_or_default(),
        actual,
    };
    Ok(match print(plan, subject, script, format)? {
        Printed::Skipped(reason) => Outcome::Skipped { reason },
        Printed::Broken { reason, output } => fail(&reason, output),
        Printed::Output(actual) => match &golden {
            None => fail("no golden", actual),
            Some(expected) if *expected == actual => Outcome::Pass,
            Some(_) => fail("output differs from the golden", actual),
        },
    })
}

/// For recording: what each case prints on `subject`, two times, in the order of the cases.
pub fn print_twice(plan: &Plan<'_>, subject: &Subject) -> Vec<io::Result<[Printed; 2]>> {
    let next = AtomicUsize::new(0);
    let (sender, results) = mpsc::channel();
    let mut all: Vec<_> = plan.cases.iter().map(|_| None).collect();
    std::thread::scope(|scope| {
        for _ in 0..plan.jobs.clamp(1, plan.cases.len().max(1)) {
            let sender = sender.clone();
            let next = &next;
            scope.spawn(move || {
                while let Some((index, (script, format))) =
                    Some(next.fetch_add(1, Ordering::Relaxed))
                        .and_then(|index| Some((index, plan.cases.get(index)?)))
                {
                    let once = || print(plan, subject, script, format);
                    let twice = once().and_then(|first| Ok([first, once()?]));
                    let _ = sender.send((index, twice));
                }
            });
        }
        drop(sender);
        for (index, twice) in results {
            if let Some(place) = all.get_mut(index) {
                *place = Some(twice);
            }
        }
    });
    let missing = || Err(io::Error::other("a worker went away"));
    all.into_iter()
        .map(|result| result.unwrap_or_else(missing))
        .collect()
}

/// Runs one script on one subject and filters what it prints.
pub fn print(
    plan: &Plan<'_>,
    subject: &Subject,
    script: &Script,
    format: &str,
) -> io::Result<Printed> {
    if subject.kind == SubjectKind::Absent {
        return Ok(Printed::Skipped("no qemu-img".to_owned()));
    }
    if let Some(reason) = lacking(script, &plan.search_path) {
        return Ok(Printed::Skipped(reason));
    }
    let mut private = tempfile::Builder::new()
        .prefix(&format!("{}-{format}-", script.number()))
        .tempdir_in(&plan.scratch)?;
    let directory = private.path().join("test");
    std::fs::create_dir(&directory)?;
    let skip_note = private.path().join("skip");
    let mut command = Command::new("bash");
    command
        .arg(&script.path)
        .current_dir(&directory)
        .env_clear()
        .envs([("LC_ALL", "C"), ("TZ", "UTC"), ("IMAGE_FORMAT", format)])
        .env("PATH", &plan.search_path)
        .env("HOME", &directory)
        .env("TMPDIR", &directory)
        .env("TEST_DIR", &directory)
        .env("SKIP_NOTE", &skip_note)
        .env("STREAMS", private.path())
        .env("SUITE_COMMON", common_of(&script.path))
        .env("COWPROOF", &plan.judge)
        .env("QEMU_IMG", subject.tool("qemu-img"))
        .env("QEMU_IO", subject.tool("qemu-io"));
    let output = private.path().join("output");
    let (ending, output) = process::run(&mut command, &output, plan.time_limit)?;
    let output = Filter::new(&directory, &subject.directory).apply(&output);
    let broken = |reason: String| Printed::Broken {
        reason,
        output: output.clone(),
    };
    let printed = match (std::fs::read_to_string(&skip_note), ending) {
        (Ok(reason), Ending::Code(0)) => Printed::Skipped(reason.trim().to_owned()),
        (_, Ending::Code(0)) => Printed::Output(output),
        (_, Ending::Code(code)) => broken(format!("the script exited with {code}")),
        (_, Ending::Signal(signal)) => broken(format!("signal {signal} ended the script")),
        (_, Ending::TimedOut) => broken(format!("no end after {} s", plan.time_limit.as_secs())),
    };
    private.disable_cleanup(plan.keep && !matches!(printed, Printed::Skipped(_)));
    Ok(printed)
}

fn common_of(script: &Path) -> PathBuf {
    script.with_file_name("common.sh")
}

/// What the script requires and this machine lacks.
fn lacking(script: &Script, search_path: &OsString) -> Option<String> {
    script
        .header
        .requires
        .iter()
        .find_map(|requirement| match requirement {
            Requirement::Program(program) => std::env::split_paths(search_path)
                .all(|directory| !directory.join(program).is_file())
                .then(|| format!("no {program}")),
            Requirement::Unprivileged => nix::unistd::geteuid()
                .is_root()
                .then(|| "root may do everything".to_owned()),
        })
}

fn facts(subject: &Subject) -> SubjectFacts {
    SubjectFacts {
        name: subject.name.clone(),
        version: subject.version(),
    }
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
