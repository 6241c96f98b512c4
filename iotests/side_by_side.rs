//! Command lines given to the real tool and to ours, in two directories that start equal: output, messages, exit codes
//! and what is left on the disk have to be the same.

#[path = "side_by_side/tree.rs"]
mod tree;

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tree::{Tree, content};

/// Scenarios are separated by lines `== name`; each gets fresh directories. Their lines:
///
/// - `img …`, `io …`: the real tool, in both directories (setup);
/// - `sh …`: a line for the shell, in both directories, with the real tools on PATH (setup);
/// - `tree`: from here on every `$` that succeeds has to leave the same files behind, byte for byte;
/// - `timing NAME…`: but not these: where their clusters lie depends on timing in the real tool, so that they have to read the
///   same;
/// - `raw NAME SIZE [OFFSET:LENGTH:BYTE]…`: a raw file with some bytes set, fully allocated, in both;
/// - `hole NAME SIZE`: a sparse file, in both;
/// - `patch NAME OFFSET HEX`: overwrites bytes, in both;
/// - `$ …`: one command line for `qemu-img`, compared;
/// - `try …`: one command line for `qemu-img`, not compared;
/// - `ours …`: one command line for our `qemu-img` in our directory, which has to succeed;
/// - `has WORD …`: the real tool's answer to a command line in our directory has the word;
/// - `same NAME`: the two files are byte for byte the same;
/// - `reads NAME…`: the real tool finds the two images equal (strictly) and each without errors;
/// - `content NAME…`: the real tool finds that the two images read the same;
/// - `gone NAME`: neither exists.
struct Side {
    directory: tempfile::TempDir,
    tool: PathBuf,
}

struct Stage {
    real_img: PathBuf,
    real_io: PathBuf,
    /// The real tool's and ours.
    sides: [Side; 2],
    /// Every compared command that succeeds has to leave the same files behind.
    files_too: Cell<bool>,
    /// Files whose layout depends on timing in the real tool.
    timing: RefCell<Vec<String>>,
}

fn on_path(tool: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|directory| directory.join(tool))
        .find(|candidate| candidate.is_file())
}

impl Stage {
    fn new() -> Option<Self> {
        let real_img = on_path("qemu-img")?;
        let real_io = on_path("qemu-io")?;
        let version = Command::new(&real_img).arg("--version").output().ok()?;
        if String::from_utf8_lossy(&version.stdout).contains("cowproof") {
            return None;
        }
        let side = |tool: PathBuf| Side {
            directory: tempfile::tempdir().expect("a scratch directory"),
            tool,
        };
        let ours = side(PathBuf::new());
        let link = ours.directory.path().join(".tools");
        std::fs::create_dir(&link).expect("a directory for the link");
        let tool = link.join("qemu-img");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_cowproof"), &tool).expect("a link");
        Some(Self {
            sides: [side(real_img.clone()), Side { tool, ..ours }],
            real_img,
            real_io,
            files_too: Cell::new(false),
            timing: RefCell::default(),
        })
    }

    /// What went wrong, step by step; only a setup that fails ends the scenario.
    fn play(&self, scenario: &str) -> Vec<String> {
        let mut problems = Vec::new();
        let lines = scenario.lines().map(str::trim);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let words = match line.strip_prefix("sh ") {
                Some(shell) => vec!["sh".to_owned(), shell.to_owned()],
                None => shlex::split(line).expect("quotes match"),
            };
            let (verb, rest) = words.split_first().expect("the line is not empty");
            if let Err(problem) = self.step(verb, rest) {
                problems.push(format!("at `{line}`: {problem}"));
                if ["img", "io"].contains(&verb.as_str()) {
                    break;
                }
            }
        }
        problems
    }

    fn step(&self, verb: &str, rest: &[String]) -> Result<(), String> {
        match verb {
            "$" => self.compared(rest),
            "try" => {
                for side in &self.sides {
                    side.run(&side.tool, rest);
                }
                Ok(())
            }
            "tree" => {
                self.files_too.set(true);
                Ok(())
            }
            "timing" => {
                self.timing.borrow_mut().extend_from_slice(rest);
                Ok(())
            }
            "sh" => {
                let shell = ["-c".to_owned(), rest.join(" ")];
                self.set_up(Path::new("/bin/sh"), &shell)
            }
            "ours" => {
                let [_, ours] = &self.sides;
                let (code, stdout, stderr) = ours.run(&ours.tool, rest);
                let failed = || format!("exit {code:?}: {stdout}{stderr}");
                (code == Some(0)).then_some(()).ok_or_else(failed)
            }
            "has" => {
                let (word, line) = rest.split_first().expect("a word and a command line");
                let (_, stdout, stderr) = self.sides[1].run(&self.real_img, line);
                let missing = || format!("no {word} in {stdout}{stderr}");
                stdout
                    .contains(word.as_str())
                    .then_some(())
                    .ok_or_else(missing)
            }
            "img" => self.set_up(&self.real_img, rest),
            "io" => self.set_up(&self.real_io, rest),
            "same" => self.same(&rest[0]),
            "reads" => rest.iter().try_for_each(|name| self.reads(name, true)),
            "content" => rest.iter().try_for_each(|name| self.reads(name, false)),
            "gone" => {
                if self.sides.iter().any(|side| side.path(&rest[0]).exists()) {
                    Err(format!("{} exists", rest[0]))
                } else {
                    Ok(())
                }
            }
            _ => {
                for side in &self.sides {
                    make(verb, &side.path(&rest[0]), &rest[1..]);
                }
                Ok(())
            }
        }
    }

    fn set_up(&self, tool: &Path, rest: &[String]) -> Result<(), String> {
        for side in &self.sides {
            let output = side.run(tool, rest);
            if !output.2.is_empty() || output.0 != Some(0) {
                return Err(format!("setup failed: {}{}", output.1, output.2));
            }
        }
        Ok(())
    }

    fn compared(&self, rest: &[String]) -> Result<(), String> {
        let trees = || {
            self.sides
                .each_ref()
                .map(|side| Tree::of(side.directory.path()))
        };
        let before = self.files_too.get().then(trees);
        let [real, ours] = self.sides.each_ref().map(|side| side.run(&side.tool, rest));
        let mut problem = match before {
            // What a failure leaves behind is `docs/differences.md`'s matter.
            Some(before) if real.0 == Some(0) => self.different_files(&before, &trees()),
            _ => String::new(),
        };
        if real == ours {
            return if problem.is_empty() {
                Ok(())
            } else {
                Err(problem)
            };
        }
        for (what, (code, stdout, stderr)) in [("real", real), ("ours", ours)] {
            let _ = write!(
                problem,
                "\n  {what}: exit {code:?}\n    stdout: {stdout:?}\n    stderr: {stderr:?}"
            );
        }
        Err(problem)
    }

    /// Files that the command made, changed or removed on one side at least, and that are not the same now.
    fn different_files(&self, before: &[Tree; 2], after: &[Tree; 2]) -> String {
        let changed = |index: usize| after[index].changes_since(&before[index]);
        let mut problem = String::new();
        for name in changed(0).union(&changed(1)) {
            if self.timing.borrow().contains(name) {
                if let Err(difference) = self.reads(name, false) {
                    let _ = write!(problem, "\n  file {name}: {difference}");
                }
                continue;
            }
            let [real, ours] = self.sides.each_ref().map(|side| content(&side.path(name)));
            if real != ours {
                let _ = write!(problem, "\n  file {name}: {real}, ours {ours}");
            }
        }
        problem
    }

    fn same(&self, name: &str) -> Result<(), String> {
        let [real, ours] = self
            .sides
            .each_ref()
            .map(|side| std::fs::read(side.path(name)));
        match (real, ours) {
            (Ok(real), Ok(ours)) if real == ours => Ok(()),
            (Ok(real), Ok(ours)) => {
                let differs = real.iter().zip(&ours).position(|(a, b)| a != b);
                let (a, b) = (real.len(), ours.len());
                Err(format!(
                    "{name} differs at {differs:?}; {a} bytes, ours {b}"
                ))
            }
            (real, ours) => Err(format!("{name}: {:?}, ours {:?}", real.err(), ours.err())),
        }
    }

    fn reads(&self, name: &str, strictly: bool) -> Result<(), String> {
        let [real, ours] = self.sides.each_ref().map(|side| side.path(name));
        let mut compare = Command::new(&self.real_img);
        compare
            .arg("compare")
            .args(strictly.then_some("-s"))
            .args([&real, &ours]);
        let output = compare.output().map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(
                String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
            );
        }
        let check = Command::new(&self.real_img)
            .arg("check")
            .arg(&ours)
            .output();
        let check = check.map_err(|error| error.to_string())?;
        // 63: the format knows no check.
        match check.status.code() {
            Some(0 | 63) => Ok(()),
            _ => Err(String::from_utf8_lossy(&[check.stdout, check.stderr].concat()).into_owned()),
        }
    }
}

impl Side {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn run(&self, tool: &Path, rest: &[String]) -> (Option<i32>, String, String) {
        let name = tool.file_name().expect("a tool has a name");
        let output = Command::new(tool)
            .arg0(name)
            .args(rest)
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .output()
            .expect("the tool starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        // What `io` says of its speed differs each time.
        let stdout = if tool.ends_with("qemu-io") {
            String::new()
        } else {
            text(&output.stdout)
        };
        (output.status.code(), stdout, text(&output.stderr))
    }
}

fn number(text: &str) -> u64 {
    let (digits, unit) = match text.strip_suffix(['k', 'M']) {
        Some(digits) => (
            digits,
            if text.ends_with('k') {
                1 << 10
            } else {
                1 << 20
            },
        ),
        None => (text, 1),
    };
    digits.parse::<u64>().expect("a number") * unit
}

fn make(verb: &str, path: &Path, rest: &[String]) {
    let length = usize::try_from(number(&rest[0])).expect("a small file");
    match verb {
        "hole" => {
            let file = std::fs::File::create(path).expect("creates");
            file.set_len(length as u64).expect("grows");
        }
        "raw" => {
            let mut bytes = vec![0; length];
            for run in &rest[1..] {
                let parts: Vec<usize> = run
                    .split(':')
                    .map(|part| usize::try_from(number(part)).expect("small"))
                    .collect();
                let byte = u8::try_from(parts[2]).expect("a byte");
                bytes[parts[0]..parts[0] + parts[1]].fill(byte);
            }
            std::fs::write(path, bytes).expect("writes");
        }
        "patch" => {
            let mut bytes = std::fs::read(path).expect("reads");
            for (index, pair) in rest[1].as_bytes().chunks(2).enumerate() {
                let pair = std::str::from_utf8(pair).expect("hex");
                bytes[length + index] = u8::from_str_radix(pair, 16).expect("hex");
            }
            std::fs::write(path, bytes).expect("writes");
        }
        _ => panic!("no such verb: {verb}"),
    }
}

/// A command that compresses in several threads at once (`rebase -c`, `convert -c`) lays the clusters out as they get
/// ready: the real tool 10.0.2 made another file in 6 of 30 runs. A difference counts when it comes every time.
const PLAYS: usize = 8;

/// Plays all scenarios of a file, and tells about each one that fails.
fn play(file: &str, text: &str) {
    let mut failures = Vec::new();
    for scenario in text.split("== ").skip(1) {
        let (name, lines) = scenario.split_once('\n').expect("a name and lines");
        let mut problems = Vec::new();
        for _ in 0..PLAYS {
            let Some(stage) = Stage::new() else {
                eprintln!("{file}: skipped(no qemu-img)");
                return;
            };
            problems = stage.play(lines);
            if problems.is_empty() {
                break;
            }
        }
        let named = |problem| format!("{file}: {name}: {problem}");
        failures.extend(problems.into_iter().map(named));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

macro_rules! files {
    ($($name:ident),*) => {
        $(
            #[test]
            fn $name() {
                let file = concat!("side_by_side/", stringify!($name), ".txt");
                play(file, include_str!(concat!("side_by_side/", stringify!($name), ".txt")));
            }
        )*
    };
}

files!(
    commit,
    compare,
    convert_layout,
    convert_messages,
    convert_targets,
    dd,
    devices_and_filters,
    encryption,
    rebase,
    repair,
    scripts,
    sweep_amend,
    sweep_chains,
    sweep_check,
    sweep_convert,
    sweep_create,
    sweep_info,
    sweep_sizes
);
