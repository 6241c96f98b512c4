//! One script on two copies of one image.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::script::{Case, Tool};
use crate::seeds::{SECRET, Seeds};
use crate::support::Tools;

/// Seconds for one case; a batch gets ten times as many.
const PATIENCE: u32 = 10;
/// More words than this and the tool is stopped.
const OUTPUT_MAX: u64 = 8 << 20;
/// Kilobytes of address space.
const MEMORY_MAX: u32 = 4_000_000;
/// More of a file is not compared.
const FILE_MAX: u64 = 16 << 20;

/// What both did, from a little before the place where they part.
#[derive(Clone, Debug)]
pub struct Difference {
    pub ours: String,
    pub real: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let (ours, real) = (lines(&self.ours), lines(&self.real));
        let same = ours.iter().zip(&real).take_while(|(a, b)| a == b).count();
        let shown = |text: &[String]| {
            let piece = text.iter().skip(same.saturating_sub(2)).take(7);
            piece.fold(String::new(), |all, line| all + "    " + line + "\n")
        };
        write!(
            f,
            "  from line {same}\n  ours:\n{}  real:\n{}",
            shown(&ours),
            shown(&real)
        )
    }
}

/// How a case ended.
pub enum Verdict {
    Agree,
    Differ(Difference),
    /// The real tool died.
    RealCrash(String),
    /// The real tool needed too long, or said too much.
    RealTimeout,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Exit(i32),
    Signal(i32),
    Stopped,
}

/// One side of a case: its words, then its files.
struct Side {
    end: End,
    text: String,
}

/// Two rooms for the two sides.
pub struct Arena<'a> {
    tools: [&'a Tools; 2],
    seeds: &'a Seeds,
    rooms: [tempfile::TempDir; 2],
    timing: regex::Regex,
    /// Numbers that the real tool makes up.
    node: regex::Regex,
}

impl<'a> Arena<'a> {
    pub fn new(ours: &'a Tools, theirs: &'a Tools, seeds: &'a Seeds) -> Self {
        let room = || tempfile::tempdir().expect("a temporary directory");
        Self {
            tools: [ours, theirs],
            seeds,
            rooms: [room(), room()],
            timing: regex::Regex::new(r"(\d+ ops; ).*").expect("a pattern"),
            node: regex::Regex::new(r"'#block\d+'").expect("a pattern"),
        }
    }

    pub fn seeds(&self) -> &'a Seeds {
        self.seeds
    }

    /// Verdicts in the order of the cases.
    pub fn play(&self, cases: &[Case]) -> Vec<Verdict> {
        let batch: Vec<&Case> = cases.iter().filter(|case| case.tool == Tool::Io).collect();
        let together = if batch.len() > 1 {
            both(|room| self.io(room, &batch))
        } else {
            [None, None]
        };
        let mut verdicts = Vec::new();
        let mut index = 0;
        for case in cases {
            if case.tool == Tool::Img {
                verdicts.push(self.img(case));
                continue;
            }
            // A batch that broke is played again, one by one.
            verdicts.push(if let [Some(ours), Some(real)] = &together {
                verdict(&ours[index], &real[index])
            } else {
                let alone = |room| self.io(room, &[case]);
                let [ours, real] =
                    both(|room| alone(room).unwrap_or_else(|| self.single(room, case)));
                verdict(&ours[0], &real[0])
            });
            index += 1;
        }
        verdicts
    }

    fn lay_out(&self, room: usize, name: &str, case: &Case) -> PathBuf {
        let directory = self.rooms[room].path().join(name);
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir(&directory).expect("a directory");
        std::fs::write(directory.join("image"), case.bytes(self.seeds)).expect("an image");
        std::fs::write(directory.join("base"), &self.seeds.base).expect("a base");
        directory
    }

    fn io_input(&self, room: usize, cases: &[&Case]) -> (PathBuf, Vec<PathBuf>) {
        let mut input = String::new();
        let mut directories = Vec::new();
        for (index, case) in cases.iter().enumerate() {
            let name = index.to_string();
            directories.push(self.lay_out(room, &name, case));
            for line in &case.lines {
                input += &case.filled(line, &format!("{name}/image"), self.seeds);
                input.push('\n');
            }
            let _ = writeln!(input, "end-{index}");
        }
        let path = self.rooms[room].path().join("input");
        std::fs::write(&path, input).expect("a script");
        (path, directories)
    }

    fn io_run(&self, room: usize, input: &Path, patience: u32) -> (End, String) {
        let mut command = limited(&self.tools[room].io, patience);
        command
            .args(SECRET)
            .current_dir(self.rooms[room].path())
            .stdin(std::fs::File::open(input).expect("the script"));
        let (end, text) = finish(command);
        (end, self.without_numbers(&text))
    }

    fn without_numbers(&self, text: &str) -> String {
        let text = self.timing.replace_all(text, "${1}…");
        self.node.replace_all(&text, "'#block'").into_owned()
    }

    /// What our tools say of a case.
    pub fn our_words(&self, case: &Case) -> String {
        match case.tool {
            Tool::Img => self.img_side(0, case).text,
            Tool::Io => self.single(0, case).remove(0).text,
        }
    }

    /// All cases in one process; `None` where it did not see the end of each.
    fn io(&self, room: usize, cases: &[&Case]) -> Option<Vec<Side>> {
        let (input, directories) = self.io_input(room, cases);
        let many = if cases.len() > 1 { 3 } else { 1 };
        let (end, text) = self.io_run(room, &input, PATIENCE * many);
        let End::Exit(_) = end else { return None };
        let mut rest = text.as_str();
        let mut sides = Vec::new();
        for (index, directory) in directories.iter().enumerate() {
            let mark = format!("command \"end-{index}\" not found\n");
            let (words, after) = rest.split_once(&mark)?;
            rest = after;
            let compare = !cases[index].compresses();
            sides.push(Side {
                end: End::Exit(0),
                text: format!("{words}\n{}", files(directory, compare)),
            });
        }
        Some(sides)
    }

    /// One case that ends its process.
    fn single(&self, room: usize, case: &Case) -> Vec<Side> {
        let (input, _) = self.io_input(room, &[case]);
        let (end, text) = self.io_run(room, &input, PATIENCE);
        vec![Side { end, text }]
    }

    fn img(&self, case: &Case) -> Verdict {
        let [ours, real] = both(|room| self.img_side(room, case));
        verdict(&ours, &real)
    }

    fn img_side(&self, room: usize, case: &Case) -> Side {
        let directory = self.lay_out(room, "0", case);
        let mut text = String::new();
        for line in &case.lines {
            let mut command = limited(&self.tools[room].img, PATIENCE);
            let line = case.filled(line, "image", self.seeds);
            command
                .args(line.split_whitespace())
                .current_dir(&directory)
                .stdin(Stdio::null());
            let (end, words) = finish(command);
            let words = self.without_numbers(&words);
            let _ = writeln!(text, "$ {line}\n{words}{end:?}");
            if end != End::Exit(0) {
                // How far a failed conversion came depends on how much is read at once.
                let _ = std::fs::remove_file(directory.join("image.raw"));
            }
            if !matches!(end, End::Exit(_)) {
                return Side { end, text };
            }
        }
        text += &files(&directory, !case.has_clock());
        Side {
            end: End::Exit(0),
            text,
        }
    }
}

fn verdict(ours: &Side, real: &Side) -> Verdict {
    let differ = || {
        Verdict::Differ(Difference {
            ours: format!("{}{:?}", ours.text, ours.end),
            real: format!("{}{:?}", real.text, real.end),
        })
    };
    match (&ours.end, &real.end) {
        (End::Signal(_), _) => differ(),
        (_, End::Signal(number)) => Verdict::RealCrash(format!(
            "{}signal {number}",
            real.text
                .lines()
                .rev()
                .take(4)
                .fold(String::new(), |all, line| format!("  {line}\n{all}"))
        )),
        (_, End::Stopped) => Verdict::RealTimeout,
        _ if ours.text == real.text && ours.end == real.end => Verdict::Agree,
        _ => differ(),
    }
}

fn limited(program: &Path, patience: u32) -> Command {
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            &format!(
                "ulimit -c 0; ulimit -v {MEMORY_MAX}; exec timeout -s KILL {patience} \"$@\" 2>&1"
            ),
            "sh",
        ])
        .arg(program)
        .stdout(Stdio::piped());
    command
}

fn finish(mut command: Command) -> (End, String) {
    let mut child = command.spawn().expect("the tool starts");
    let mut bytes = Vec::new();
    let pipe = child.stdout.take().expect("a pipe");
    pipe.take(OUTPUT_MAX)
        .read_to_end(&mut bytes)
        .expect("the tool's words");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = child.wait().expect("the tool ends");
    let full = bytes.len() as u64 == OUTPUT_MAX;
    let end = match (status.code(), status.signal()) {
        _ if full => End::Stopped,
        (Some(137), _) | (_, Some(9)) => End::Stopped,
        (Some(code), _) if code > 128 => End::Signal(code - 128),
        (Some(code), _) => End::Exit(code),
        (None, signal) => End::Signal(signal.unwrap_or(0)),
    };
    (end, text)
}

/// What is in a directory: names, lengths, and the bytes by their first lines.
fn files(directory: &Path, compare: bool) -> String {
    let mut list = BTreeMap::new();
    for entry in std::fs::read_dir(directory).expect("the directory") {
        let entry = entry.expect("an entry");
        let mut bytes = Vec::new();
        if let Ok(file) = std::fs::File::open(entry.path()) {
            let length = file.metadata().map_or(0, |facts| facts.len());
            file.take(FILE_MAX)
                .read_to_end(&mut bytes)
                .expect("the file's bytes");
            list.insert(entry.file_name(), (length, bytes));
        }
    }
    let mut text = String::new();
    for (name, (length, bytes)) in list {
        if !compare && name == "image" {
            continue;
        }
        let _ = writeln!(text, "file {} has {length} bytes", name.display());
        for (index, row) in bytes.chunks(16).enumerate() {
            if row.iter().any(|&byte| byte != 0) {
                let _ = write!(text, "{:08x} ", index * 16);
                for byte in row {
                    let _ = write!(text, "{byte:02x} ");
                }
                text.push('\n');
            }
        }
    }
    text
}

/// The same on both sides at once.
fn both<T: Send>(play: impl Fn(usize) -> T + Sync) -> [T; 2] {
    std::thread::scope(|scope| {
        let real = scope.spawn(|| play(1));
        let ours = play(0);
        [ours, real.join().expect("the other side")]
    })
}
