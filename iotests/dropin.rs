//! The drop-in `qemu-img` beside the real one: the same command lines, compared to the byte: standard output,
//! standard error and exit code.

mod support;

use std::io::{Read as _, Seek as _};
use std::path::Path;
use std::process::Command;

use support::Tools;

/// Made by the real tools.
const FIXTURES: &str = "
img create -q -f qcow2 a.qcow2 1M
img create -q -f qcow2 -b a.qcow2 -F qcow2 b.qcow2
io -c 'write 64k 64k' b.qcow2
img snapshot -c s1 b.qcow2
img snapshot -c 'a rather long name of a snapshot, with ÄÖÜ' b.qcow2
img create -q -f qcow2 -b b.qcow2 -F qcow2 bb.qcow2 3M
img create -q -f qcow2 m.qcow2 10M
io -c 'write 0 64k' -c 'write 128k 64k' -c 'write -z 256k 64k' -c 'write 5M 128k' m.qcow2
img create -q -f qcow2 -b m.qcow2 -F qcow2 mm.qcow2 12M
io -c 'write 64k 64k' -c 'write -z 5M 64k' mm.qcow2
img create -q -f qcow2 comp.qcow2 1M
io -c 'write -c 0 64k' -c 'write 64k 64k' comp.qcow2
img create -q -f qcow2 -o compat=0.10 v2.qcow2 1M
img create -q -f qcow2 -o lazy_refcounts=on,compression_type=zstd lazy.qcow2 1M
img create -q -f qcow2 -u -b nope.qcow2 -F qcow2 orphan.qcow2 1M
img create -q -f qcow2 -u -b ring2.qcow2 -F qcow2 ring1.qcow2 1M
img create -q -f qcow2 -u -b ring1.qcow2 -F qcow2 ring2.qcow2 1M
img create -q -f raw r.raw 1M
io -f raw -c 'write 64k 64k' r.raw
img create -q -f raw odd.raw 700
img create -q -f raw empty.raw 0
img create -q -f qcow q.qcow 1M
io -c 'write -c 0 4k' -c 'write 64k 4k' q.qcow
img create -q -f luks --object secret,id=s,data=abc -o key-secret=s,iter-time=10 l.luks 1M
img create -q -f qcow2 --object secret,id=s,data=abc -o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10 el.qcow2 1M
img create -q -f qcow2 --object secret,id=s,data=abc -o encrypt.format=aes,encrypt.key-secret=s aes.qcow2 1M
";

/// Lines that change nothing, or nothing that another line looks at.
const READING: &str = include_str!("dropin/reading.txt");

/// Lines that change images: each tool has its own copies.
const WRITING: &str = include_str!("dropin/writing.txt");

#[test]
fn reading_lines_are_answered_alike() {
    compare(READING, false);
}

#[test]
fn writing_lines_are_answered_alike() {
    compare(WRITING, true);
}

/// Deliberately unlike the real tool, which writes into such an image and uses clusters twice.
#[test]
fn commit_repairs_a_dirty_backing_file_first() {
    let ours = Tools::ours();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let play = |line| run(&ours, line, directory.path());
    for line in [
        "img create -q -f qcow2 -o lazy_refcounts=on base.qcow2 4M",
        "img create -q -f qcow2 -u -b base.qcow2 -F qcow2 top.qcow2 4M",
        "io -c 'write -P 1 1M 64k' top.qcow2",
    ] {
        assert!(play(line).ends_with("exit 0"), "{line}");
    }
    // Killed: the refcount of its cluster is not in the file.
    play("io -t writethrough -c 'write -P 2 0 64k' -c 'sigraise 9' base.qcow2");
    assert!(play("img check base.qcow2").contains("ERROR cluster 5 refcount=0 reference=1"));
    let committed = play("img commit top.qcow2");
    assert!(committed.contains("Repairing"), "{committed}");
    for tools in [Some(ours), Tools::real()].into_iter().flatten() {
        let checked = run(&tools, "img check base.qcow2", directory.path());
        assert!(checked.starts_with("No errors were found"), "{checked}");
        let line = "io -r -c 'read -P 1 1M 64k' -c 'read -P 2 0 64k' base.qcow2";
        let read = run(&tools, line, directory.path());
        assert!(read.ends_with("exit 0"), "{read}");
    }
}

/// Deliberately unlike the real tool with `preallocation=metadata`: it leaves the clusters mapped to places that the
/// file does not have.
#[test]
fn a_preallocated_growth_that_does_not_fit_leaves_nothing_behind() {
    let ours = Tools::ours();
    for how in ["metadata", "falloc", "full"] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        run(&ours, "img create -q -f qcow2 a.qcow2 8M", directory.path());
        let limited = Command::new("bash")
            .args(["-c", "ulimit -f 1024; exec \"$0\" \"$@\""])
            .arg(&ours.img)
            .args(["resize", &format!("--preallocation={how}")])
            .args(["a.qcow2", "16M"])
            .current_dir(directory.path())
            .output()
            .expect("bash runs");
        let said = String::from_utf8_lossy(&limited.stderr);
        assert_eq!(limited.status.code(), Some(1), "{how}: {said}");
        assert!(said.contains("File too large"), "{how}: {said}");
        for tools in [Some(Tools::ours()), Tools::real()].into_iter().flatten() {
            let checked = run(&tools, "img check a.qcow2", directory.path());
            assert!(
                checked.starts_with("No errors were found"),
                "{how}: {checked}"
            );
            let info = run(&tools, "img info a.qcow2", directory.path());
            assert!(info.contains("virtual size: 8 MiB"), "{how}: {info}");
        }
    }
}

fn compare(lines: &str, apart: bool) {
    let Some(real) = Tools::real() else {
        eprintln!("skipped(no qemu-img)");
        return;
    };
    let ours = Tools::ours();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let [theirs_at, ours_at] = ["theirs", "ours"].map(|name| directory.path().join(name));
    std::fs::create_dir(&theirs_at).expect("a directory");
    for line in commands(FIXTURES) {
        let answer = run(&real, line, &theirs_at);
        assert!(answer.ends_with("exit 0"), "{line}: {answer}");
    }
    let ours_at = if apart {
        let copied = Command::new("cp")
            .arg("-a")
            .args([&theirs_at, &ours_at])
            .status();
        assert!(copied.expect("cp runs").success());
        &ours_at
    } else {
        &theirs_at
    };
    let mut different = Vec::new();
    let mut count = 0;
    for line in commands(lines) {
        count += 1;
        let theirs = run(&real, line, &theirs_at);
        let answer = run(&ours, line, ours_at);
        if theirs != answer {
            different.push(format!("$ {line}\n--- real\n{theirs}\n--- ours\n{answer}"));
        } else if !apart {
            let theirs = run_in_one_stream(&real, line, &theirs_at);
            let answer = run_in_one_stream(&ours, line, ours_at);
            if theirs != answer {
                different.push(format!(
                    "$ {line} 2>&1\n--- real\n{theirs}\n--- ours\n{answer}"
                ));
            }
        }
    }
    let shown = different.join("\n\n");
    assert!(
        different.is_empty(),
        "{} of {count} lines differ:\n{shown}",
        different.len()
    );
}

fn commands(lines: &str) -> impl Iterator<Item = &str> {
    lines
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
}

/// What a script sees that records both streams in one file: the order depends on when standard output is written.
fn run_in_one_stream(tools: &Tools, line: &str, directory: &Path) -> String {
    let (mut command, program) = command(tools, line, directory);
    let mut log = tempfile::tempfile().expect("a temporary file");
    command
        .stdout(log.try_clone().expect("another handle"))
        .stderr(log.try_clone().expect("another handle"))
        .status()
        .expect("the tool runs");
    let mut text = Vec::new();
    log.rewind().expect("files rewind");
    log.read_to_end(&mut text).expect("files are read");
    String::from_utf8_lossy(&text).replace(&program, "qemu-img")
}

/// Everything that a line says, with its exit code behind.
fn run(tools: &Tools, line: &str, directory: &Path) -> String {
    let (mut command, program) = command(tools, line, directory);
    let output = command.output().expect("the tool runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&program, "qemu-img");
    format!(
        "{}--- standard error\n{}exit {}",
        text(&output.stdout),
        text(&output.stderr),
        output.status.code().unwrap_or(-1)
    )
}

/// The command of a line, and the name by which its tool calls itself: one name for both tools stands in messages.
fn command(tools: &Tools, line: &str, directory: &Path) -> (Command, String) {
    let words = shlex::split(line).expect("quotes match");
    let (tool, arguments) = words.split_first().expect("a command");
    let program = if tool == "io" { &tools.io } else { &tools.img };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(directory)
        .env("TZ", "Europe/Berlin")
        .env("LC_ALL", "C.UTF-8");
    (command, program.to_string_lossy().into_owned())
}
