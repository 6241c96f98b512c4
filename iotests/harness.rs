//! `cargo test` runs the conformance suite: on the built-in reference, and on the real tools where
//! there are any. The same binary and the same command as `cowproof run`.

use std::path::Path;
use std::process::{Command, ExitCode};

use cowproof::conform::subject::{SubjectFinder, SubjectKind};
use cowproof::conform::suite::Suite;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--list") {
        println!("0 tests, 0 benchmarks");
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let suite = Suite::load(Suite::default_root()).expect("the suite's scripts have headers");
    let chosen: Vec<&str> = suite
        .scripts
        .iter()
        .map(|script| script.name.as_str())
        .filter(|name| filters.is_empty() || filters.iter().any(|word| name.contains(*word)))
        .collect();
    if chosen.is_empty() {
        println!("no iotest is named so");
        return ExitCode::SUCCESS;
    }
    let program = Path::new(env!("CARGO_BIN_EXE_cowproof"));
    let mut good = run(program, "builtin=builtin", &chosen);
    let finder = SubjectFinder {
        program: program.to_owned(),
        links: std::env::temp_dir(),
        search_path: std::env::var_os("PATH").unwrap_or_default(),
    };
    match finder.real_tools("qemu") {
        Ok(subject) => {
            assert_eq!(subject.kind, SubjectKind::RealTools);
            good &= run(program, "qemu=auto", &chosen);
        }
        Err(error) => println!(
            "the suite on the real tools, and every test that compares with them: skipped({error})"
        ),
    }
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn run(program: &Path, subject: &str, tests: &[&str]) -> bool {
    Command::new(program)
        // The real tools measure PBKDF2 for two seconds of processor time a volume: on a busy machine that adds up.
        .args(["run", "--timeout", "900", "--subject", subject, "--"])
        .args(tests)
        .status()
        .expect("the program was built")
        .success()
}
