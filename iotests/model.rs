//! Random histories against a flat byte vector: proptest writes them, and shrinks one that fails to a short list of
//! commands for `qemu-io` and `qemu-img`.
//!
//! After every step the disk and the VM state read as the model has them; the metadata passes `check` and a
//! brute-force count of its own (`model/count.rs`). `COWPROOF_HISTORIES=10000 cargo test --release --test model` runs
//! ten thousand, `COWPROOF_SEED` others. A failing history is printed as a file for `model/regressions/`, where every
//! run plays it again, and as a shell script.

#![expect(clippy::unwrap_used, reason = "a test: what is missing must end it")]

#[path = "model/configuration.rs"]
mod configuration;
#[path = "model/count.rs"]
mod count;
#[path = "model/flat.rs"]
mod flat;
#[path = "model/history.rs"]
mod history;
#[path = "model/machine.rs"]
mod machine;
#[path = "model/operation.rs"]
mod operation;
#[path = "model/replay.rs"]
mod replay;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use flat::Flat;
use history::Looks;
use operation::Operation;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use proptest_state_machine::ReferenceStateMachine;

/// Steps of a history.
const STEPS: std::ops::Range<usize> = 20..40;
/// What every run plays.
const HISTORIES: u64 = 150;
/// Histories that every run plays on the real tools, too.
const REPLAYS: u64 = 10;
/// Histories that one runner plays: the unit of work of a thread.
const LOT: u64 = 25;

fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

fn runner(seed: u64, cases: u64, shrinks: u32) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases: u32::try_from(cases).unwrap(),
        failure_persistence: None,
        max_shrink_iters: shrinks,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// Plays `cases` histories of one seed; the error is a report.
fn play_lot(seed: u64, cases: u64, steps: &AtomicU64) -> Result<(), String> {
    let looks = if seed.is_multiple_of(2) {
        Looks::Always
    } else {
        Looks::AtFlush
    };
    let histories = Flat::sequential_strategy(STEPS);
    let outcome = runner(seed, cases, 20_000).run(&histories, |(start, operations, seen)| {
        history::play(start, &operations, looks, || {
            steps.fetch_add(1, Ordering::Relaxed);
            if let Some(seen) = &seen {
                seen.fetch_add(1, Ordering::SeqCst);
            }
        })
        .map_err(TestCaseError::fail)
    });
    match outcome {
        Ok(()) => Ok(()),
        Err(TestError::Fail(why, (start, operations, _))) => Err(report(
            &format!("seed {seed}, {looks:?}: {why}"),
            &start,
            &operations,
        )),
        Err(TestError::Abort(why)) => Err(format!("seed {seed}: {why}")),
    }
}

fn report(why: &str, start: &Flat, operations: &[Operation]) -> String {
    let configuration = &start.configuration;
    format!(
        "# {why}\n{}\nThe same for either pair of tools:\n{}",
        history::text(configuration, operations),
        history::script(configuration, operations)
    )
}

#[test]
fn histories_are_those_of_a_flat_disk() {
    let histories = number_from("COWPROOF_HISTORIES").unwrap_or(HISTORIES);
    let first = number_from("COWPROOF_SEED").unwrap_or(1) * 1_000_000;
    let (next, steps) = (AtomicU64::new(0), AtomicU64::new(0));
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let lot = next.fetch_add(1, Ordering::Relaxed);
                    let cases = histories.saturating_sub(lot * LOT).min(LOT);
                    if cases == 0 {
                        break;
                    }
                    if let Err(report) = play_lot(first + lot, cases, &steps) {
                        failures.lock().unwrap().push(report);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    println!(
        "model: {histories} histories, {} steps, {} findings",
        steps.into_inner(),
        failures.len()
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Histories on the real tools and on ours: `COWPROOF_REPLAYS` says how many.
#[test]
fn the_real_tools_agree_on_a_sample() {
    let Some(mut replay) = replay::Replay::start() else {
        return;
    };
    let count = number_from("COWPROOF_REPLAYS").unwrap_or(REPLAYS);
    let seed = number_from("COWPROOF_SEED").unwrap_or(1) * 1_000_000 + 999_999;
    let replay = std::cell::RefCell::new(&mut replay);
    let histories = Flat::sequential_strategy(STEPS);
    let outcome = runner(seed, count, 200).run(&histories, |(start, operations, seen)| {
        if let Some(seen) = &seen {
            seen.store(operations.len(), Ordering::SeqCst);
        }
        replay
            .borrow_mut()
            .judge(&start, &operations)
            .map_err(TestCaseError::fail)
    });
    match outcome {
        Ok(()) => println!("model: {count} histories replayed on the real tools"),
        Err(TestError::Fail(why, (start, operations, _))) => {
            panic!("{}", report(&why.to_string(), &start, &operations))
        }
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

#[test]
fn regressions_stay_fixed() {
    let directory =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("iotests/model/regressions");
    let mut played = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let (configuration, operations) =
            history::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for looks in [Looks::Always, Looks::AtFlush] {
            let start = Flat::new(configuration.clone());
            if let Err(why) = history::play(start, &operations, looks, || ()) {
                panic!("{}: {why}", path.display());
            }
        }
        played += 1;
    }
    assert!(played > 0, "no regressions found");
}
