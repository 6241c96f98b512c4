//! Two directories that are equal, and both pairs of tools.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Made by the real tools, once; every probe gets copies.
const FIXTURES: &str = "
img create -q -f qcow2 base.qcow2 1M
io -c 'write -P 1 0 256k' base.qcow2
img create -q -f qcow2 -b base.qcow2 -F qcow2 src.qcow2
io -c 'write -P 2 128k 128k' -c 'write -z 512k 64k' -c 'write -b -P 9 0 1k' src.qcow2
img snapshot -c s1 src.qcow2
img bitmap --add src.qcow2 b0
img bitmap --add src.qcow2 b1
io -c 'write -P 3 64k 64k' src.qcow2
img create -q -f qcow2 -b base.qcow2 -F qcow2 top.qcow2
io -c 'write -P 2 128k 128k' top.qcow2
img create -q -f qcow2 alone.qcow2 1M
img create -q -f qcow2 -o compat=0.10 old.qcow2 1M
img create -q -f qcow2 -o data_file=data.raw ext.qcow2 1M
img create -q -f raw raw.img 1M
io -f raw -c 'write -P 5 0 64k' raw.img
img create -q -f luks --object secret,id=s,data=abc -o key-secret=s,iter-time=10 luks.img 1M
img create -q -f qcow2 --object secret,id=s,data=abc -o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10 enc.qcow2 1M
";

pub struct Stage {
    /// The real `qemu-img` and `qemu-io`, and ours.
    tools: [[PathBuf; 2]; 2],
    fixtures: tempfile::TempDir,
    work: tempfile::TempDir,
    count: AtomicU32,
}

struct Answer {
    code: Option<i32>,
    stdout: String,
    stderr: String,
    /// What lies in the directory afterwards.
    files: BTreeSet<String>,
}

impl Stage {
    /// `None` without the real tools.
    pub fn new() -> Option<Self> {
        let real = ["qemu-img", "qemu-io"].map(on_path);
        let [Some(img), Some(io)] = real else {
            return None;
        };
        let scratch = || tempfile::tempdir().expect("a scratch directory");
        let (fixtures, work) = (scratch(), scratch());
        let links = work.path().join("bin");
        std::fs::create_dir(&links).expect("a directory for links");
        let ours = ["qemu-img", "qemu-io"].map(|name| {
            let link = links.join(name);
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_cowproof"), &link).expect("a link");
            link
        });
        let stage = Self {
            tools: [[img, io], ours],
            fixtures,
            work,
            count: AtomicU32::new(0),
        };
        if stage.version().contains("cowproof") {
            return None;
        }
        for line in FIXTURES.lines().filter(|line| !line.is_empty()) {
            let answer = stage.run(0, line, stage.fixtures.path());
            assert_eq!(answer.code, Some(0), "{line}: {}", answer.stderr);
        }
        Some(stage)
    }

    /// The first line of `qemu-img --version`.
    pub fn version(&self) -> String {
        let answer = self.run(0, "img --version", self.work.path());
        answer.stdout.lines().next().unwrap_or_default().to_owned()
    }

    pub fn real_says(&self, line: &str) -> String {
        self.run(0, line, self.work.path()).stdout
    }

    /// What is not the same when both tools get this line.
    pub fn difference(&self, line: &str) -> Option<String> {
        let line = if line.starts_with("io ") {
            line.to_owned()
        } else {
            format!("img {line}")
        };
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let [real, ours] = [0, 1].map(|who| {
            let directory = self.work.path().join(format!("{who}-{count}"));
            copy(self.fixtures.path(), &directory, &line);
            let answer = self.run(who, &line, &directory);
            std::fs::remove_dir_all(&directory).expect("the directory goes");
            answer
        });
        let same = real.code == ours.code
            && real.stdout == ours.stdout
            && real.stderr == ours.stderr
            // What a failure leaves behind is `docs/differences.md`'s matter.
            && (real.files == ours.files || real.code != Some(0));
        (!same).then(|| {
            let show = |answer: &Answer| {
                let Answer {
                    code,
                    stdout,
                    stderr,
                    files,
                } = answer;
                format!("exit {code:?}\n    {stdout:?}\n    {stderr:?}\n    {files:?}")
            };
            format!("{line}\n  real: {}\n  ours: {}", show(&real), show(&ours))
        })
    }

    fn run(&self, who: usize, line: &str, directory: &Path) -> Answer {
        let words = shlex::split(line).expect("quotes match");
        let tool = &self.tools[who][usize::from(words[0] == "io")];
        let output = Command::new(tool)
            .arg0(tool.file_name().expect("a tool has a name"))
            .args(&words[1..])
            .current_dir(directory)
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .output()
            .expect("the tool runs");
        let entries = std::fs::read_dir(directory).expect("the directory is there");
        Answer {
            code: output.status.code(),
            stdout: timeless(&String::from_utf8_lossy(&output.stdout)),
            stderr: timeless(&String::from_utf8_lossy(&output.stderr)),
            files: entries
                .flatten()
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect(),
        }
    }
}

fn on_path(tool: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|directory| directory.join(tool))
        .find(|candidate| candidate.is_file())
}

/// The fixtures that the line names, and what those need.
fn copy(from: &Path, to: &Path, line: &str) {
    std::fs::create_dir(to).expect("a fresh directory");
    for entry in std::fs::read_dir(from).expect("the fixtures are there") {
        let entry = entry.expect("the fixtures can be listed");
        let name = entry.file_name().to_string_lossy().into_owned();
        if !line.contains(&name) && !["base.qcow2", "data.raw"].contains(&&*name) {
            continue;
        }
        std::fs::copy(entry.path(), to.join(&name)).expect("a copy");
    }
}

/// Without what differs from run to run: times, rates, the numbers in generated names.
fn timeless(text: &str) -> String {
    let masks = [
        (r"ops; .*/sec\)", "ops; TIME"),
        (r"(?m)^(\d+,\d+),.*,.*$", "$1,TIME"),
        (r"completed in [0-9.]* seconds", "completed in TIME seconds"),
        (r"#block\d+", "#blockN"),
        (r"block allocated at .*", "block allocated"),
    ];
    masks.iter().fold(text.to_owned(), |text, (mask, with)| {
        let mask = regex::Regex::new(mask).expect("a mask");
        mask.replace_all(&text, *with).into_owned()
    })
}
