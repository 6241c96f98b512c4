//! Mutated images into our tools and the real ones: every word, exit code, byte read and byte written must agree.
//!
//! Images that the real tools made (`differential/seeds.rs`) get a few fields changed (`fields.rs`, `mutate.rs`); a
//! seeded script of `qemu-io` or `qemu-img` commands (`script.rs`) runs on a copy for each side. A disagreement is
//! minimised and printed with the command that replays it, unless it is one of `known.rs`, each of which is a row of
//! `docs/differences.md`. `tools/differential` runs it for as long as you like; `cargo test` runs a fixed piece.

#[path = "differential/fields.rs"]
mod fields;
#[path = "differential/known.rs"]
mod known;
#[path = "differential/minimise.rs"]
mod minimise;
#[path = "differential/mutate.rs"]
mod mutate;
#[path = "differential/play.rs"]
mod play;
#[path = "differential/random.rs"]
mod random;
#[path = "differential/script.rs"]
mod script;
#[path = "differential/seeds.rs"]
mod seeds;
mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use play::{Arena, Verdict};
use script::Case;
use seeds::Seeds;
use support::Tools;

/// What `cargo test` plays, so that it is the same every time.
const DEFAULT_SEED: u64 = 1;
const DEFAULT_CASES: u64 = 600;
/// Cases of other seeds that found something once: seed and number.
const FOUND: [(u64, u64); 18] = [
    (2, 16),
    (2, 96),
    (2, 256),
    (2, 364),
    (2, 412),
    (2, 480),
    (2, 489),
    (2, 571),
    (2, 799),
    (2, 807),
    (2, 936),
    (2, 938),
    (2, 959),
    (2, 1405),
    (2, 1416),
    (2, 1480),
    (3, 206),
    (3, 877),
];
/// Cases that share one pair of `qemu-io` processes.
const BATCH: usize = 40;

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .filter(|text| !text.is_empty())
        .map(|text| text.parse().expect("a number"))
}

/// What a run came to.
#[derive(Default)]
struct Tally {
    agree: u64,
    known: BTreeMap<&'static str, u64>,
    real_crashes: Vec<String>,
    real_timeouts: u64,
    findings: Vec<String>,
}

impl Tally {
    fn add(&mut self, case: &Case, verdict: Verdict, arena: &Arena) {
        match verdict {
            Verdict::Agree => self.agree += 1,
            Verdict::RealTimeout => self.real_timeouts += 1,
            Verdict::RealCrash(how) => {
                let text = format!("{}\n{how}", case.describe(arena.seeds()));
                eprintln!("the real tool crashed: {text}");
                self.real_crashes.push(text);
            }
            Verdict::Differ(difference) => {
                if let Some(name) = known::name(case, arena, &difference) {
                    *self.known.entry(name).or_default() += 1;
                    return;
                }
                let (small, difference) = minimise::minimise(case, difference, arena);
                let text = format!("{}\n{difference}", small.describe(arena.seeds()));
                eprintln!("DISAGREEMENT {text}\n");
                self.findings.push(text);
            }
        }
    }
}

/// Runs case after case until `enough` says so.
fn run(arena: &Arena, seed: u64, mut enough: impl FnMut(u64) -> bool) -> Tally {
    let mut tally = Tally::default();
    let mut number = 0;
    while !enough(number) {
        let cases: Vec<Case> = (0..BATCH as u64)
            .map(|index| Case::random(seed, number + index, arena.seeds()))
            .collect();
        number += cases.len() as u64;
        for (case, verdict) in cases.iter().zip(arena.play(&cases)) {
            tally.add(case, verdict, arena);
        }
    }
    tally
}

#[test]
fn mutated_images_are_judged_as_the_real_tools_judge_them() {
    let Some(theirs) = Tools::real() else {
        eprintln!("skipped(no qemu-img): mutated images are compared with the real tools");
        return;
    };
    let ours = Tools::ours();
    let seeds = Seeds::made_by(&theirs);
    let arena = Arena::new(&ours, &theirs, &seeds);
    let seed = number_from("COWPROOF_DIFFERENTIAL_SEED").unwrap_or(DEFAULT_SEED);
    let start = Instant::now();
    let tally = if let Some(number) = number_from("COWPROOF_DIFFERENTIAL_CASE") {
        let mut tally = Tally::default();
        let case = Case::random(seed, number, &seeds);
        eprintln!("{}", case.describe(&seeds));
        for verdict in arena.play(std::slice::from_ref(&case)) {
            tally.add(&case, verdict, &arena);
        }
        tally
    } else if let Some(seconds) = number_from("COWPROOF_DIFFERENTIAL_SECONDS") {
        run(&arena, seed, |_| {
            start.elapsed() >= Duration::from_secs(seconds)
        })
    } else {
        let mut tally = run(&arena, seed, |number| number >= DEFAULT_CASES);
        let found = FOUND.map(|(seed, number)| Case::random(seed, number, &seeds));
        for (case, verdict) in found.iter().zip(arena.play(&found)) {
            tally.add(case, verdict, &arena);
        }
        tally
    };
    println!(
        "differential: seed {seed}, {} s, {} agree, {} differ, known differences {:?}, real tool: {} crashes, {} timeouts",
        start.elapsed().as_secs(),
        tally.agree,
        tally.findings.len(),
        tally.known,
        tally.real_crashes.len(),
        tally.real_timeouts,
    );
    assert!(tally.findings.is_empty(), "{}", tally.findings.join("\n\n"));
}
