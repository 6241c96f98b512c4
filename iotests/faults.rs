//! An I/O error injected by blkdebug at each event of each operation on images of each kind: the operation fails cleanly or
//! goes on, our check and the real one agree that nothing is corrupt, every sector holds what it held before or what it
//! was to hold, snapshots are as they were, and the image can be used.
//!
//! `COWPROOF_FAULTS=1` meets the later occurrences of each event too, `COWPROOF_FAULTS_ONLY=WORDS` plays what has those words
//! in its name.

#[path = "faults/cases.rs"]
mod cases;
#[path = "faults/judge.rs"]
mod judge;
#[path = "support.rs"]
mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use cowproof::node::DebugEvent;

use cases::{KINDS, Kind, Operation};
use support::Tools;

/// What a command did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The exit code.
    pub code: Option<i32>,
    /// Standard output, then standard error.
    pub text: String,
}

/// An error to inject.
#[derive(Clone, Copy, Debug)]
struct Fault {
    event: DebugEvent,
    errno: u8,
    once: bool,
    /// So many occurrences of the event pass before.
    passing: usize,
}

impl Fault {
    /// The options of a blkdebug node below `child`.
    fn options(self, child: &str) -> String {
        let Self {
            event,
            errno,
            once,
            passing,
        } = self;
        let name = event.name();
        let once = if once { "on" } else { "off" };
        let mut text = String::new();
        for state in 1..=passing {
            let rule = format!("{child}.set-state.{}", state - 1);
            let next = state + 1;
            let _ = write!(
                text,
                ",{rule}.event={name},{rule}.state={state},{rule}.new_state={next}"
            );
        }
        let rule = format!("{child}.inject-error.0");
        let state = passing + 1;
        let _ = write!(
            text,
            ",{rule}.event={name},{rule}.errno={errno},{rule}.once={once},{rule}.state={state}"
        );
        text
    }
}

/// Errors, and whether each is met once; the first two are those that differ most.
const ERRORS: &[(u8, bool)] = &[(5, true), (28, false), (5, false), (28, true)];

/// Where one operation is played.
struct Bench<'a> {
    real: &'a Tools,
    ours: &'a Tools,
    kind: &'a Kind,
    /// The files as they are before the operation.
    before: PathBuf,
    /// The files that are changed.
    at: PathBuf,
}

fn run(tool: &Path, words: &[String], at: &Path) -> Outcome {
    let output = Command::new(tool)
        .args(words)
        .current_dir(at)
        .stdin(Stdio::null())
        .output()
        .expect("the test's own set-up");
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    let code = output.status.code();
    Outcome { code, text }
}

/// One line, `img …` or `io …`, with `@` for what opens the image.
fn play(tools: &Tools, line: &str, opening: &[String], at: &Path) -> Outcome {
    if let Some(shell) = line.strip_prefix("sh ") {
        return run(Path::new("sh"), &["-c".to_owned(), shell.to_owned()], at);
    }
    let mut words = shlex::split(line).expect("quotes match");
    let tool = if words.remove(0) == "img" {
        &tools.img
    } else {
        &tools.io
    };
    if let Some(place) = words.iter().position(|word| word == "@") {
        words.splice(place..=place, opening.iter().cloned());
    }
    run(tool, &words, at)
}

impl Bench<'_> {
    /// Words that open the image, with a fault or without.
    fn opening(&self, fault: Option<Fault>) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        for object in self.kind.objects {
            words.extend(["--object".to_owned(), (*object).to_owned()]);
        }
        words.extend(["--image-opts".to_owned(), self.options(fault, "")]);
        words
    }

    /// The options of the image, its files in `directory`.
    fn options(&self, fault: Option<Fault>, directory: &str) -> String {
        let mut options = format!("driver={}", self.kind.format);
        for (name, file) in self.kind.files {
            match fault.filter(|_| *name == self.kind.faulty) {
                Some(fault) => {
                    let rules = fault.options(name);
                    let _ = write!(
                        options,
                        ",{name}.driver=blkdebug,{name}.image.filename={file}{rules}"
                    );
                }
                None => {
                    let _ = write!(options, ",{name}.filename={directory}{file}");
                }
            }
        }
        options + self.kind.options
    }

    fn reset(&self) {
        let _ = std::fs::remove_dir_all(&self.at);
        copy_directory(&self.before, &self.at);
    }

    /// The operation by our tools, on fresh files.
    fn operate(&self, operation: &Operation, fault: Option<Fault>) -> Outcome {
        self.reset();
        play(self.ours, operation.line, &self.opening(fault), &self.at)
    }
}

fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("the test's own set-up");
    for entry in std::fs::read_dir(from).expect("the test's own set-up") {
        let entry = entry.expect("the test's own set-up");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("the test's own set-up");
    }
}

/// All files of a directory.
fn files(at: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(at).expect("the test's own set-up");
    entries
        .map(|entry| {
            let path = entry.expect("the test's own set-up").path();
            let bytes = std::fs::read(&path).expect("the test's own set-up");
            (path, bytes)
        })
        .collect()
}

/// What happened in one operation.
#[derive(Default)]
struct Tally {
    /// Injected errors that were met.
    met: usize,
    /// Different states that they left.
    states: usize,
    wrong: Vec<String>,
}

/// Plays one operation with an error at each event.
fn sweep(bench: &Bench<'_>, operation: &Operation, thorough: bool) -> Tally {
    let mut tally = Tally::default();
    let mut judge = judge::Judge::new(bench, operation);
    let place = format!("{}, {}", bench.kind.name, operation.name);
    if let Some(problem) = judge.trouble() {
        tally
            .wrong
            .push(format!("{place}: without a fault: {problem}"));
        return tally;
    }
    let last = if thorough { 5 } else { 0 };
    for event in DebugEvent::ALL.iter().copied() {
        'passing: for passing in 0..=last {
            let all = thorough || bench.kind.every_error;
            for (errno, once) in if all { ERRORS } else { &ERRORS[..2] } {
                let (errno, once) = (*errno, *once);
                let fault = Fault {
                    event,
                    errno,
                    once,
                    passing,
                };
                let outcome = bench.operate(operation, Some(fault));
                let first = errno == 5 && once;
                if first && judge.is_untouched(&outcome) {
                    break 'passing;
                }
                tally.met += 1;
                if let Some(problem) = judge.problem(&outcome, !once) {
                    let problem = format!("{place}, {fault:?}: {problem}\n  said: {outcome:?}");
                    tally.wrong.push(problem);
                }
            }
        }
    }
    tally.states = judge.states();
    tally
}

/// What is to be played: a kind, an operation, and where the files are that the kind begins with.
type Work = (&'static Kind, &'static Operation, PathBuf);

/// Makes the files of each kind.
fn prepare(scratch: &Path, real: &Tools, ours: &Tools) -> Vec<Work> {
    let only = std::env::var("COWPROOF_FAULTS_ONLY").unwrap_or_default();
    let mut work = Vec::new();
    for (number, kind) in KINDS.iter().enumerate() {
        let before = scratch.join(format!("before-{number}"));
        std::fs::create_dir(&before).expect("the test's own set-up");
        for line in kind.set_up {
            let (tools, line) = match line.strip_prefix("ours ") {
                Some(line) => (ours, line),
                None => (real, *line),
            };
            let made = play(tools, line, &[], &before);
            assert_eq!(made.code, Some(0), "{line}: {}", made.text);
        }
        for operation in kind.operations.iter().copied().flatten() {
            if format!("{}, {}", kind.name, operation.name).contains(&only) {
                work.push((kind, operation, before.clone()));
            }
        }
    }
    work
}

/// Plays what is to be played on all processors.
fn play_all(scratch: &Path, real: &Tools, ours: &Tools) -> Tally {
    let thorough = std::env::var_os("COWPROOF_FAULTS").is_some();
    let work = Mutex::new(prepare(scratch, real, ours));
    let total = Mutex::new(Tally::default());
    let next = || work.lock().expect("no panic").pop();
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let (next, total) = (&next, &total);
            let at = scratch.join(format!("at-{worker}"));
            scope.spawn(move || {
                while let Some((kind, operation, before)) = next() {
                    let bench = Bench {
                        real,
                        ours,
                        kind,
                        before,
                        at: at.clone(),
                    };
                    let tally = sweep(&bench, operation, thorough);
                    let mut total = total.lock().expect("no panic");
                    total.met += tally.met;
                    total.states += tally.states;
                    total.wrong.extend(tally.wrong);
                }
            });
        }
    });
    total.into_inner().expect("no panic")
}

#[test]
fn an_error_at_each_event_of_each_operation() {
    let Some(real) = Tools::real() else {
        eprintln!("skipped(no qemu-img)");
        return;
    };
    // Every request of these images is flushed: a disk would take minutes.
    let memory = Path::new("/dev/shm");
    let scratch = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    let scratch = scratch.expect("the test's own set-up");
    let Tally { met, states, wrong } = play_all(scratch.path(), &real, &Tools::ours());
    eprintln!("{met} errors were met and left {states} different states");
    assert!(
        wrong.is_empty(),
        "{} are wrong\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
