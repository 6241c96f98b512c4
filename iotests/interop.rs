//! Both ways against the real tools: they write and we read, we write and they read, and turns on one image.
//!
//! The matrix is pairwise over format, cluster size, refcount width, compression, encryption, backing and snapshots
//! (`interop/matrix.rs`); each case runs a seeded history of operations (`interop/history.rs`) through the command
//! line tools only. Random cases (`interop/random.rs`) come on top, with tools that live as long as the test.
//! `COWPROOF_INTEROP_SEED=N` runs other histories, `COWPROOF_INTEROP_CASE=N` one case, `COWPROOF_INTEROP_RANDOM=N` so
//! many random cases.

#[path = "interop/create.rs"]
mod create;
#[path = "interop/history.rs"]
mod history;
#[path = "interop/matrix.rs"]
mod matrix;
#[path = "interop/pipe.rs"]
mod pipe;
#[path = "interop/play.rs"]
mod play;
#[path = "interop/random.rs"]
mod random;
mod support;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use matrix::Case;
use play::Room;
use support::Tools;

/// The histories that every run plays, unless the environment names another seed.
const DEFAULT_SEED: u64 = 2017;

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().expect("a number"))
}

/// Random cases of every run, unless the environment says how many.
const DEFAULT_RANDOM: u64 = 40;

/// Both texts from a little before the place where they part.
fn first_difference<'a>(a: &'a str, b: &'a str) -> (&'a str, &'a str) {
    let at = a
        .bytes()
        .zip(b.bytes())
        .position(|(a, b)| a != b)
        .unwrap_or(a.len().min(b.len()));
    let piece = |text: &'a str| {
        text.get(at.saturating_sub(80)..(at + 160).min(text.len()))
            .unwrap_or(text)
    };
    (piece(a), piece(b))
}

/// Plays one case in all four ways; the error says what differs.
fn judge(case: &Case, seed: u64, ours: &Tools, theirs: &Tools) -> Result<(), String> {
    let room = Room::new();
    let by_them = room.play("theirs", case, seed, &[theirs])?;
    let by_us = room.play("ours", case, seed, &[ours])?;
    let in_turns = room.play("turns", case, seed, &[ours, theirs])?;

    let reference = room.contents(&by_them, case, theirs)?;
    for (image, who) in [
        (&by_them, "theirs"),
        (&by_us, "ours"),
        (&in_turns, "in turns"),
    ] {
        for (reader, name) in [(ours, "us"), (theirs, "them")] {
            let seen = room.contents(image, case, reader)?;
            if let Some(difference) = reference.difference(&seen) {
                return Err(format!("written {who}, read by {name}: {difference}"));
            }
        }
        let (a, b) = (
            Room::facts(image, case, ours)?,
            Room::facts(image, case, theirs)?,
        );
        if a != b {
            let (us, them) = first_difference(&a, &b);
            return Err(format!(
                "written {who}: info, map or check differ\n  us:   …{us}\n  them: …{them}"
            ));
        }
        Room::check_is_clean(image, case, theirs).map_err(|e| format!("written {who}: {e}"))?;
    }
    Ok(())
}

#[test]
fn every_case_of_the_matrix_agrees_both_ways() {
    let Some(theirs) = Tools::real() else {
        eprintln!("skipped(no qemu-img): the interop matrix needs the real tools on PATH");
        return;
    };
    let ours = Tools::ours();
    let seed = number_from("COWPROOF_INTEROP_SEED").unwrap_or(DEFAULT_SEED);
    let only = number_from("COWPROOF_INTEROP_CASE");
    let cases: Vec<Case> = matrix::pairwise();
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(index) else { break };
                    if only.is_some_and(|only| only != index as u64) {
                        continue;
                    }
                    if let Err(why) = judge(case, seed.wrapping_add(index as u64), &ours, &theirs) {
                        failures
                            .lock()
                            .unwrap()
                            .push(format!("case {index} {case}\n  {why}"));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    println!(
        "interop matrix: {} cases, {} agree, seed {seed}",
        cases.len(),
        cases.len() - failures.len()
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The test of the test: one wrong byte, whoever reads or writes it, and the matrix fails.
#[cfg(feature = "mutants")]
#[test]
fn a_wrong_byte_is_seen() {
    use cowproof::driver::mutants::{WRONG_BYTE_READ, WRONG_BYTE_WRITTEN};
    let Some(theirs) = Tools::real() else {
        eprintln!("skipped(no qemu-img): the interop matrix needs the real tools on PATH");
        return;
    };
    let cases = matrix::pairwise();
    let plain = |case: &&Case| !case.is_encrypted() && case.format == matrix::Format::Qcow2V3;
    let case = cases.iter().find(plain).expect("a plain case");
    let outcome = |ours: &Tools| judge(case, DEFAULT_SEED, ours, &theirs);
    assert_eq!(outcome(&Tools::with_fault("none")), Ok(()));
    for fault in [WRONG_BYTE_READ, WRONG_BYTE_WRITTEN] {
        let why = outcome(&Tools::with_fault(fault)).expect_err(fault);
        assert!(why.contains(" at offset "), "{fault}: {why}");
    }
}

#[test]
fn random_cases_agree_both_ways() {
    let Some(theirs) = Tools::real() else {
        eprintln!("skipped(no qemu-img): random cases need the real tools on PATH");
        return;
    };
    let ours = Tools::ours();
    let seed = number_from("COWPROOF_INTEROP_SEED").unwrap_or(DEFAULT_SEED);
    let count = number_from("COWPROOF_INTEROP_RANDOM").unwrap_or(DEFAULT_RANDOM);
    let only = number_from("COWPROOF_INTEROP_CASE");
    let cases = random::cases(seed, usize::try_from(count).expect("a few cases"));
    let failures = random::run(&cases.list, seed, only, &ours, &theirs);
    println!(
        "interop random: {count} cases in three ways, {} agree, {} of {} pairs of levels, seed {seed}",
        cases.list.len() - failures.len().min(cases.list.len()),
        cases.pairs,
        cases.possible_pairs,
    );
    assert!(
        failures.is_empty(),
        "seed {seed}, {count} cases\n{}",
        failures.join("\n")
    );
}

#[test]
fn create_makes_the_same_bytes_with_any_options() {
    let Some(theirs) = Tools::real() else {
        eprintln!("skipped(no qemu-img): the create matrix needs the real tools on PATH");
        return;
    };
    let ours = Tools::ours();
    let seed = number_from("COWPROOF_INTEROP_SEED").unwrap_or(DEFAULT_SEED);
    let run = |matrix: &'static create::Matrix| {
        let missing = matrix.missing(&theirs);
        assert!(missing.is_empty(), "create {}: {missing:?}", matrix.format);
        matrix.run(seed, &ours, &theirs)
    };
    let results = std::thread::scope(|scope| {
        let threads = create::MATRICES
            .each_ref()
            .map(|matrix| (matrix.format, scope.spawn(move || run(matrix))));
        threads.map(|(format, thread)| (format, thread.join().expect("a whole matrix")))
    });
    let mut all = Vec::new();
    for (format, (coverage, differences)) in results {
        println!(
            "create {format}: {} combinations, {} created, {} the same, {} differ; {} of {} pairs of levels in created images",
            coverage.rows,
            coverage.created,
            coverage.rows - differences.len(),
            differences.len(),
            coverage.pairs,
            coverage.possible_pairs
        );
        assert!(coverage.created * 8 > coverage.rows, "too few are possible");
        all.extend(differences);
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}
