//! Every crash of every short workload: up to two operations in each run, and a sample of three. `COWPROOF_CRASH=3`
//! plays all workloads of three (minutes).
//!
//! What must hold in each state is in `crash_states/judge.rs`, which states there are in `crash_states/states.rs`, what
//! is played in `crash_states/workload.rs`.

mod faults;
mod judge;
mod states;
mod workload;

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::super::testing::{Operation, real_tools};
use super::Dice;
use judge::Judge;
use states::{Durable, Effort, State, label_of, states};
use workload::{Configuration, History, Start, play};

/// Workloads of three operations that every run plays of each kind of image.
const SAMPLE: u64 = 12;

/// How many operations a workload has at most, when all are played.
fn longest() -> usize {
    std::env::var("COWPROOF_CRASH")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(2)
}

/// All sequences of up to `length` operations, and of longer ones a sample.
fn workloads(configuration: Configuration, length: usize) -> Vec<Vec<Operation>> {
    let count = configuration.operations(0).len();
    let sequence = |numbers: &[usize]| -> Vec<Operation> {
        numbers
            .iter()
            .enumerate()
            .map(|(step, number)| configuration.operations(step)[*number])
            .collect()
    };
    let mut all = Vec::new();
    let mut level: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 0..length {
        level = level
            .iter()
            .flat_map(|prefix| (0..count).map(|number| [prefix.as_slice(), &[number]].concat()))
            .collect();
        all.extend(level.iter().map(|numbers| sequence(numbers)));
    }
    // Found something once: zeroed, durably, and then written in part to the place that it kept.
    let [zero, flush, part] =
        [(5, 0), (13, 1), (2, 2)].map(|(number, step)| configuration.operations(step)[number]);
    all.push(vec![zero, flush, part]);
    let mut dice = Dice::new(configuration as u64 + 1);
    if length < 3 {
        for _ in 0..SAMPLE {
            let roll = |_| usize::try_from(dice.roll(count as u64)).unwrap();
            all.push(sequence(&[0, 1, 2].map(roll)));
        }
    }
    all
}

/// Does `each` for every workload of every kind of image, on all processors; it says what is wrong.
fn for_each_workload<T: Sync>(
    length: usize,
    context: &T,
    each: impl Fn(&T, &Start, &[Operation]) -> Result<(), String> + Sync,
) {
    let mut jobs = Vec::new();
    let starts: Vec<Start> = Configuration::ALL
        .iter()
        .map(|&kind| Start::new(kind))
        .collect();
    for start in &starts {
        jobs.extend(
            workloads(start.configuration, length)
                .into_iter()
                .map(|w| (start, w)),
        );
    }
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some((start, operations)) = jobs.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    if let Err(why) = each(context, start, operations) {
                        let kind = start.configuration;
                        failures
                            .lock()
                            .push(format!("{kind:?} {operations:?}\n  {why}"));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner();
    let shown = failures
        .iter()
        .take(5)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    assert!(
        failures.is_empty(),
        "{} workloads of {} fail\n{shown}",
        failures.len(),
        jobs.len()
    );
}

/// Judges every state of a history; the error describes the first that is wrong.
fn judge_all(
    judge: &Judge<'_>,
    history: &History,
    lost: &dyn Fn(usize) -> bool,
    effort: Effort,
) -> Result<usize, String> {
    let mut seen = HashSet::new();
    let mut result = Ok(());
    states(
        history,
        lost,
        effort,
        &mut |state: &State, durable: &Durable| {
            if result.is_ok()
                && seen.insert((durable.fingerprint(state), durable.steps(history, state)))
            {
                let bytes = durable.bytes(state);
                result = judge
                    .state(history, &bytes, durable.steps(history, state))
                    .map_err(|why| format!("{state}: {why}"));
            }
        },
    );
    result.map(|()| seen.len())
}

#[test]
fn no_crash_of_a_short_workload_loses_anything() {
    let real = real_tools();
    let length = longest();
    let effort = if length > 2 {
        Effort::LONG
    } else {
        Effort::SHORT
    };
    let (states, seen_by_real) = (AtomicUsize::new(0), AtomicUsize::new(0));
    for_each_workload(length, &(), |(), start, operations| {
        let history = play(start, operations)?;
        let judge = Judge::new(start, real.then_some(&seen_by_real));
        let count = judge_all(&judge, &history, &|_| false, effort)?;
        states.fetch_add(count, Ordering::Relaxed);
        Ok(())
    });
    println!(
        "crash states: {} in workloads of up to {length} operations, {} also seen by qemu-img check",
        states.into_inner(),
        seen_by_real.into_inner()
    );
}

/// A flush that ends an operation which promises that everything is durable.
const GUEST: &str = "asked for";

/// The test of the test: where the flushes before one kind of write are lost, some state must be found wrong.
#[test]
fn each_flush_that_orders_writes_is_missed_when_it_is_lost() {
    // What is written behind a flush, and why that waits.
    const KINDS: [(&str, &str); 9] = [
        ("l2_update", "counts and copied data before the mapping"),
        ("l1_update", "a new L2 table before the L1 entry"),
        (
            "refblock_update_part",
            "the cleared mapping before the lowered count",
        ),
        (
            "refblock_alloc_hookup",
            "a new refcount block before the table's entry",
        ),
        ("l1 place", "a longer L1 table before the header"),
        ("snapshots place", "the snapshot table before the header"),
        ("features", "counts before the dirty bit goes"),
        (
            GUEST,
            "everything before a flush that was asked for is done",
        ),
        (
            "write_aio",
            "cleared mappings before their clusters hold new data",
        ),
    ];
    let mut missed: BTreeMap<&str, usize> = BTreeMap::new();
    let mut tried: BTreeMap<&str, usize> = BTreeMap::new();
    for kind in Configuration::ALL {
        let start = Start::new(kind);
        let judge = Judge::new(&start, None);
        for operations in workloads(kind, 2) {
            let history = play(&start, &operations).unwrap();
            for (label, _) in KINDS {
                let lost = |flush: usize| match label {
                    GUEST => history.is_asked_for(flush),
                    label => label_of(&history, flush) == label,
                };
                let any =
                    (0..history.events.len()).any(|event| history.is_flush(event) && lost(event));
                if !any || missed.get(label).is_some_and(|count| *count >= 3) {
                    continue;
                }
                *tried.entry(label).or_default() += 1;
                if judge_all(&judge, &history, &lost, Effort::SHORT).is_err() {
                    *missed.entry(label).or_default() += 1;
                }
            }
        }
    }
    println!("flushes lost in so many workloads: {tried:?}; noticed: {missed:?}");
    for (label, why) in KINDS {
        assert!(
            missed.contains_key(label),
            "{why} ({label}): nobody notices"
        );
    }
}
