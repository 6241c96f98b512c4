//! Hostile images: one fault each, made by code from images that the real tools created.
//!
//! The drop-ins must answer as the real tools do, word for word and code for code, within a time and a memory cap,
//! and leave the file as it was. Where we are stricter on purpose the row says so and names the words expected.

#[path = "hostile/faults.rs"]
mod faults;
#[path = "hostile/fixtures.rs"]
mod fixtures;
mod support;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use faults::{Expect, Fault};
use fixtures::Fixtures;
use support::Tools;

/// Nothing hostile may take longer than this, and nothing here needs a tenth of it.
const PATIENCE: Duration = Duration::from_secs(20);

/// What one command said: exit code, standard output, standard error.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    code: Option<i32>,
    out: String,
    err: String,
}

fn ask(program: &Path, arguments: &[String], directory: &Path) -> Answer {
    // A cap on address space turns runaway memory into a failure that is seen.
    let output = Command::new("sh")
        .args(["-c", "ulimit -v 2000000; exec \"$@\"", "sh"])
        .arg(program)
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("the tool starts");
    let text = |bytes: &[u8]| timing_removed(&String::from_utf8_lossy(bytes));
    Answer {
        code: output.status.code(),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}

/// `64 KiB, 1 ops; 00:00:00.00 (…)` differs between runs.
fn timing_removed(text: &str) -> String {
    text.lines()
        .map(|line| match line.find(" ops; ") {
            Some(at) => format!("{} ops; …\n", &line[..at]),
            None => format!("{line}\n"),
        })
        .collect()
}

fn commands(fault: &Fault, fixture: &fixtures::Fixture) -> Vec<(bool, Vec<String>)> {
    let words = |text: &str| {
        text.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let secret = ["--object".to_owned(), "secret,id=s,data=pw".to_owned()];
    let options = format!(
        "driver={},file.filename=image{}",
        fixture.driver, fixture.key
    );
    let mut list = vec![(false, words(&format!("info -f {} image", fixture.driver)))];
    if fixture.driver == "qcow2" {
        let mut check = words("check");
        check.extend(secret.clone());
        check.extend(["--image-opts".to_owned(), options.clone()]);
        list.push((false, check));
    }
    let mut read = vec!["-r".to_owned()];
    read.extend(secret);
    read.extend([
        "-c".to_owned(),
        fault.io.to_owned(),
        "--image-opts".to_owned(),
        options,
    ]);
    list.push((true, read));
    list
}

/// Runs one fault's commands on both; the error says what differs.
fn judge(fault: &Fault, fixtures: &Fixtures, ours: &Tools, theirs: &Tools) -> Result<(), String> {
    let fixture = fixtures.fixture(fault.fixture);
    let room = tempfile::tempdir().expect("a temporary directory");
    let path = room.path().join("image");
    let bytes = fault.apply(&fixture.bytes);
    for (is_io, arguments) in commands(fault, fixture) {
        std::fs::write(&path, &bytes).expect("an image");
        let start = Instant::now();
        let seen = ask(
            if is_io { &ours.io } else { &ours.img },
            &arguments,
            room.path(),
        );
        if start.elapsed() > PATIENCE {
            return Err(format!("{arguments:?} took {:?}", start.elapsed()));
        }
        if std::fs::read(&path).expect("the image") != bytes {
            return Err(format!("{arguments:?} changed the file"));
        }
        if seen.code.is_none() || seen.code == Some(101) || seen.err.contains("panicked") {
            return Err(format!("{arguments:?} crashed: {seen:?}"));
        }
        match fault.expect {
            Expect::SameAsReal => {
                let real = ask(
                    if is_io { &theirs.io } else { &theirs.img },
                    &arguments,
                    room.path(),
                );
                if seen != real {
                    return Err(format!(
                        "{arguments:?}\n    us:   {seen:?}\n    them: {real:?}"
                    ));
                }
            }
            Expect::Stricter(words) if is_io && !seen.err.contains(words) => {
                return Err(format!("{arguments:?}: expected {words:?}, got {seen:?}"));
            }
            Expect::Stricter(_) => {}
        }
    }
    Ok(())
}

#[test]
fn every_fault_is_refused_as_the_real_tools_refuse_it() {
    let Some(theirs) = Tools::real() else {
        eprintln!("skipped(no qemu-img): hostile images are compared with the real tools");
        return;
    };
    let ours = Tools::ours();
    let fixtures = Fixtures::made_by(&theirs);
    let only = std::env::var("COWPROOF_HOSTILE").ok();
    let faults: Vec<Fault> = faults::all()
        .into_iter()
        .filter(|fault| only.as_ref().is_none_or(|name| fault.name.contains(name)))
        .collect();
    let failures: Vec<String> = faults
        .iter()
        .filter_map(|fault| {
            judge(fault, &fixtures, &ours, &theirs)
                .err()
                .map(|why| format!("{}: {why}", fault.name))
        })
        .collect();
    println!(
        "hostile images: {} faults, {} agree",
        faults.len(),
        faults.len() - failures.len()
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
