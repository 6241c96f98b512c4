//! Our `qemu-io` and the real one side by side: same commands, same images, and then the same standard output,
//! standard error, exit code, and bytes in the files. Figures that depend on time are masked.

#[path = "io_differential/injected.rs"]
mod injected;

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use regex::Regex;
use tempfile::TempDir;

const REAL: &str = "qemu-io";

/// What a run left behind.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    status: String,
    output: String,
    errors: String,
    image: Vec<u8>,
}

struct Pair {
    directory: TempDir,
    masks: [Regex; 3],
}

impl Pair {
    /// `None`, loudly, where the real tool is missing.
    fn new() -> Option<Self> {
        if let Err(error) = Command::new(REAL).arg("--version").output() {
            eprintln!("skipped(no {REAL}): {error}");
            return None;
        }
        let mask = |pattern| Regex::new(pattern).expect("the test's own set-up");
        Some(Self {
            directory: tempfile::tempdir().expect("the test's own set-up"),
            masks: [
                mask(r"(ops; )\S+(?: sec)? \(.*/sec and .* ops/sec\)"),
                mask(r"(?m)^(\d+,1,)\d+:[\d:.,]+$"),
                mask(r"( version 10.0.2) .*\n.*"),
            ],
        })
    }

    fn masked(&self, bytes: &[u8]) -> String {
        let mut text = String::from_utf8_lossy(bytes).into_owned();
        for mask in &self.masks {
            text = mask.replace_all(&text, "${1}…").into_owned();
        }
        text
    }

    fn run(&self, program: &Path, format: &str, arguments: &[&str], input: &str) -> Outcome {
        let path = self.directory.path();
        let image = path.join("t.img");
        make_image(&image, format);
        std::fs::write(path.join("all"), (0..=255).collect::<Vec<u8>>())
            .expect("the test's own set-up");
        std::fs::write(path.join("input"), input).expect("the test's own set-up");
        let output = Command::new(program)
            .arg0(REAL)
            .args(arguments)
            .current_dir(path)
            .stdin(std::fs::File::open(path.join("input")).expect("the test's own set-up"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()
            .expect("the test's own set-up");
        Outcome {
            status: output.status.to_string().replace(" (core dumped)", ""),
            output: self.masked(&output.stdout),
            errors: self.masked(&output.stderr),
            image: std::fs::read(image).expect("the test's own set-up"),
        }
    }

    /// The difference, if there is one.
    fn difference(&self, format: &str, arguments: &[&str], input: &str) -> Option<String> {
        let ours = PathBuf::from(env!("CARGO_BIN_EXE_cowproof"));
        let real = self.run(Path::new(REAL), format, arguments, input);
        let own = self.run(&ours, format, arguments, input);
        if real == own {
            return None;
        }
        let same_bytes = real.image == own.image;
        Some(format!(
            "{arguments:?} {input:?} on {format} (same bytes: {same_bytes})\n--- real: {}\n{}{}--- ours: {}\n{}{}",
            real.status, real.output, real.errors, own.status, own.output, own.errors
        ))
    }

    fn compare(&self, format: &str, cases: impl IntoIterator<Item = (Vec<String>, String)>) {
        let mut differences = Vec::new();
        for (arguments, input) in cases {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            differences.extend(self.difference(format, &arguments, &input));
        }
        let count = differences.len();
        assert!(count == 0, "{count} differ\n{}", differences.join("\n"));
    }
}

/// 1 MiB; the real tool makes what is not raw.
fn make_image(path: &Path, format: &str) {
    let _ = std::fs::remove_file(path);
    if format == "raw" {
        std::fs::write(path, vec![0; 1 << 20]).expect("the test's own set-up");
        return;
    }
    let made = Command::new("qemu-img")
        .args(["create", "-q", "-f", format])
        .arg(path)
        .arg("1M")
        .status()
        .expect("the test's own set-up");
    assert!(made.success());
}

fn with_commands(options: &[&str], commands: &[&str]) -> (Vec<String>, String) {
    let mut arguments: Vec<String> = options.iter().map(|&word| word.to_owned()).collect();
    for command in commands {
        arguments.push("-c".to_owned());
        arguments.push((*command).to_owned());
    }
    arguments.push("t.img".to_owned());
    (arguments, String::new())
}

/// One command a line. Not among them: `wait_break TAG`, which hangs in the real tool.
fn commands() -> impl Iterator<Item = &'static str> {
    include_str!("io_differential/commands.txt")
        .lines()
        .filter(|line| !line.starts_with("# One"))
}

#[test]
fn every_command_on_raw() {
    let Some(pair) = Pair::new() else { return };
    pair.compare(
        "raw",
        commands().map(|line| with_commands(&["-f", "raw"], &[line])),
    );
}

#[test]
fn every_command_on_a_read_only_image() {
    let Some(pair) = Pair::new() else { return };
    let changing = commands().filter(|line| line.contains("write") || line.starts_with(['d', 't']));
    pair.compare(
        "raw",
        changing.map(|line| with_commands(&["-r", "-f", "raw"], &[line])),
    );
}

#[test]
fn every_command_without_an_image() {
    let Some(pair) = Pair::new() else { return };
    let lines = commands().filter(|line| !line.starts_with("sig") && *line != "abort");
    pair.compare(
        "raw",
        lines.map(|line| (vec!["-c".to_owned(), line.to_owned()], String::new())),
    );
}

#[test]
fn data_commands_on_qcow() {
    let Some(pair) = Pair::new() else { return };
    // Compressed bytes are another library's, and reopen is about the file below.
    let lines = commands().filter(|line| {
        let data = [
            "read", "write", "aio_", "alloc", "map", "info", "discard", "trunc", "length",
        ];
        data.iter().any(|start| line.starts_with(start)) && !line.contains(" -c 0 64k")
    });
    pair.compare(
        "qcow",
        lines.map(|line| with_commands(&["-f", "qcow"], &[line])),
    );
}

#[test]
fn layers_and_discards_on_qcow2() {
    let Some(pair) = Pair::new() else { return };
    let rows: [(&[&str], &[&str]); 13] = [
        (&[], &["write -c 1M 0", "write -c 0 0"]),
        (&[], &["truncate -m full 1M", "map"]),
        (&[], &["write -q 0 64k", "truncate -m falloc 1M", "map"]),
        (
            &[],
            &["info", "write -c 1000 512", "write -c 64k 6k", "map"],
        ),
        (
            &[],
            &["write -c 983040 65536", "write -c 983040 512", "map"],
        ),
        (
            &[],
            &[
                "write -q -P 1 0 64k",
                "discard 0 64k",
                "read -P 0 0 64k",
                "map",
            ],
        ),
        (
            &["-d", "ignore"],
            &[
                "write -q -P 1 0 64k",
                "discard 0 64k",
                "read -P 1 0 64k",
                "map",
            ],
        ),
        (&["-s"], &["write -P 1 0 64k", "read -P 1 0 64k", "map"]),
        (&["-s", "-r"], &["write -P 1 0 64k", "length"]),
        (&["-C"], &["read 0 512", "map"]),
        (
            &[],
            &[
                "write -b -P 3 0 64k",
                "read -b -P 3 512 1k",
                "read -b -v 65024 512",
            ],
        ),
        (
            &[],
            &[
                "write -z 0 64k",
                "write -z -u 64k 64k",
                "write -n -z 128k 1k",
                "alloc 0 1M",
                "map",
            ],
        ),
        (
            &[],
            &[
                "close",
                "open -d ignore t.img",
                "write 0 64k",
                "discard 0 64k",
                "map",
            ],
        ),
    ];
    let cases = rows.map(|(options, commands)| {
        let options: Vec<&str> = ["-f", "qcow2"].iter().chain(options).copied().collect();
        with_commands(&options, commands)
    });
    pair.compare("qcow2", cases);
}

#[test]
fn help_of_each_command() {
    let Some(pair) = Pair::new() else { return };
    let names = "read write readv writev aio_read aio_write aio_flush discard open close reopen sigraise \
                 truncate map alloc info zone_append sleep quit abort break resume length flush help";
    let lines = names.split(' ').map(|name| format!("help {name}"));
    pair.compare(
        "raw",
        lines.map(|line| with_commands(&["-f", "raw"], &[&line])),
    );
}

#[test]
fn several_commands_in_a_row() {
    let Some(pair) = Pair::new() else { return };
    let raw: &[&str] = &["-f", "raw"];
    let rows: [&[&str]; 8] = [
        &["length", "abort"],
        &["length", "sigraise 9"],
        &["foo", "length", "read 0 x"],
        &["read -P 5 0 5", "q", "length"],
        &["write -q -s all 0 256", "read -v 0 256"],
        &[
            "close",
            "length",
            "open -o driver=raw t.img",
            "length",
            "reopen -r",
            "write 0 5",
        ],
        &["reopen -r", "reopen -w", "write 0 5", "read -v 0 8"],
        &[
            "aio_write -P 5 0 4k",
            "aio_flush",
            "aio_read -P 5 0 4k",
            "aio_flush",
        ],
    ];
    pair.compare("raw", rows.map(|row| with_commands(raw, row)));
}

/// What the real tool nearly always does: another process that takes the processor away can change the order.
#[test]
fn results_of_requests_are_printed_when_a_command_waits_for_a_file() {
    let Some(pair) = Pair::new() else { return };
    let rows: [(&str, &[&str]); 7] = [
        ("raw", &["aio_read 0 512", "read 0 1k"]),
        (
            "raw",
            &["aio_read 0 512", "aio_read 64k 512", "readv 0 1k", "length"],
        ),
        ("raw", &["aio_read 0 512", "map", "help quit"]),
        ("raw", &["aio_write 0 512", "read 0 1k", "help quit"]),
        ("qcow2", &["aio_read 0 512", "read 64k 1k", "read -q 0 1k"]),
        ("qcow2", &["write -q 0 64k", "aio_read 0 512", "read 0 1k"]),
        (
            "qcow2",
            &["write -q 0 64k", "aio_read 0 512", "map", "help quit"],
        ),
    ];
    for (format, row) in rows {
        let (arguments, input) = with_commands(&["-f", format], row);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let tries = (0..6).map(|_| pair.difference(format, &arguments, &input));
        let differences: Vec<_> = tries.map_while(|difference| difference).collect();
        assert!(differences.len() < 6, "{}", differences[0]);
    }
}

#[test]
fn a_request_at_a_breakpoint_holds_nothing_else_up() {
    let Some(pair) = Pair::new() else { return };
    let rows: [&[&str]; 6] = [
        &["sleep 30"],
        &["write 128k 64k"],
        &["map", "alloc 0 64k"],
        &["aio_write -q -P 2 0 4k", "write 256k 64k", "sleep 30"],
        &["flush", "length", "discard 512k 64k"],
        &["read 128k 64k", "write -z 192k 64k"],
    ];
    let cases = rows.map(|row| {
        let mut commands = vec!["break write_aio A", "aio_write -P 1 0 64k", "wait_break A"];
        commands.extend(row);
        commands.extend(["resume A", "aio_flush", "read -v 4000 128"]);
        let (mut arguments, input) = with_commands(&["-f", "qcow2"], &commands);
        arguments.pop();
        arguments.push("blkdebug::t.img".to_owned());
        (arguments, input)
    });
    pair.compare("qcow2", cases);
}

#[test]
fn lines_from_standard_input() {
    let Some(pair) = Pair::new() else { return };
    let inputs = [
        "length\0length\n",
        "length",
        "q\nlength\n",
        "\n\n  \nlength\n",
        "",
        "length\r\nlength # x\nlength;length\n",
        "foo\nread 16M 5",
        "read 0 512\nwrite 0 512\nread -P 1 0 5\nq\n",
        "read \"0\" 512\n",
        "aio_read 0 512\naio_flush\nlength\n",
        "sigraise 15\n",
        "length\nabort\n",
        "close\nlength\nopen t.img\nlength",
    ];
    // A line has 1023 bytes at most: what is longer is several.
    let long = [1022, 1023, 1024, 2047].map(|length| format!("{:length$}\nlength\n", "length"));
    let inputs = inputs.map(str::to_owned).into_iter().chain(long);
    let arguments = ["-f", "raw", "t.img"].map(str::to_owned).to_vec();
    pair.compare("raw", inputs.map(|input| (arguments.clone(), input)));
}

#[test]
fn command_lines() {
    let Some(pair) = Pair::new() else { return };
    let lines = include_str!("io_differential/command_lines.txt");
    let split = |line: &str| line.split('|').map(str::to_owned).collect::<Vec<_>>();
    let mut cases: Vec<_> = lines
        .lines()
        .skip(1)
        .map(|line| (split(line), String::new()))
        .collect();
    cases.push((Vec::new(), String::new()));
    pair.compare("raw", cases);
}
