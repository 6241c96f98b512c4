//! `check --explain`: what is wrong with an image, in words or as JSON.

use std::fmt::Write;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::json;
use crate::base::Result;
use crate::driver::file::{File, FileOptions, Locking};
use crate::inspect::explain::{
    Claim, DryRun, Explanation, Fault, Owner, Problem, dry_run, explain,
};
use crate::node::{HostFile, Repair};

/// The repairs whose outcome is told.
const REPAIRS: [(&str, Repair); 2] = [("leaks", Repair::Leaks), ("all", Repair::All)];

/// What is told, and the exit code of a check that finds the same.
pub struct Told {
    /// For standard output.
    pub text: String,
    /// As `check`.
    pub code: u8,
}

/// Explains the image in the file `name`; nothing is changed.
pub fn tell(name: &str, as_json: bool) -> Result<Told> {
    let options = FileOptions {
        locking: Locking::Off,
        ..FileOptions::default()
    };
    let file = HostFile::new(Arc::new(File::open(name, options)?));
    let found = explain(&file)?;
    let mut repairs = Vec::new();
    if !found.problems.is_empty() || found.dirty || found.corrupt {
        for (how, repair) in REPAIRS {
            repairs.push((how, dry_run(&file, repair)?));
        }
    }
    let text = if as_json {
        format!("{}\n", json::pretty(&as_value(name, &found, &repairs)))
    } else {
        as_text(name, &found, &repairs)
    };
    let worst = |problem: &Problem| if problem.fault == Fault::Leak { 3 } else { 2 };
    let code = found.problems.iter().map(worst).min().unwrap_or(0);
    Ok(Told { text, code })
}

fn owner_words(owner: Owner) -> String {
    match owner {
        Owner::Header => "the header".to_owned(),
        Owner::L1 => "the L1 table".to_owned(),
        Owner::L2(index) => format!("L2 table {index}"),
        Owner::RefcountTable => "the refcount table".to_owned(),
        Owner::RefcountBlock(index) => format!("refcount block {index}"),
        Owner::SnapshotTable => "the snapshot table".to_owned(),
        Owner::Crypto => "the encryption header".to_owned(),
        Owner::BitmapDirectory => "the bitmap directory".to_owned(),
        Owner::Bitmap(index) => format!("bitmap {index}"),
        Owner::Data(guest) => format!("guest offset {guest:#x}"),
        Owner::Compressed(guest) => format!("guest offset {guest:#x}, compressed"),
    }
}

fn claim_words(claim: &Claim, found: &Explanation) -> String {
    let owner = owner_words(claim.owner);
    match state_name(claim.state, found) {
        Some(state) => format!("{owner} of the {state}"),
        None => owner,
    }
}

fn state_name(state: Option<u32>, found: &Explanation) -> Option<&str> {
    let index = usize::try_from(state?).ok()?;
    found.states.get(index).map(|state| state.name.as_str())
}

fn fault_words(problem: &Problem) -> String {
    let (cluster, offset) = (problem.cluster, problem.offset);
    let counts = format!(
        "counted {} times, used {} times",
        problem.refcount, problem.references
    );
    match problem.fault {
        Fault::Overlap => format!("cluster {cluster} at {offset:#x} has several owners ({counts})"),
        Fault::Leak => format!("cluster {cluster} at {offset:#x} is counted too often ({counts})"),
        Fault::CountedTooLow => {
            format!("cluster {cluster} at {offset:#x} is counted too low ({counts})")
        }
        Fault::Unaligned => format!("an entry names {offset:#x}, where no cluster begins"),
        Fault::BehindEnd => format!("an entry names {offset:#x}, behind the end of the file"),
        Fault::ReservedBits => format!("the entry that names {offset:#x} has reserved bits set"),
    }
}

fn as_text(name: &str, found: &Explanation, repairs: &[(&str, DryRun)]) -> String {
    let mut text = String::new();
    // Writing to a String does not fail, here and below.
    let _ = writeln!(
        text,
        "{name}: qcow2 version {}, {} clusters of {} bytes, {} snapshots",
        found.version,
        found.clusters,
        found.cluster_size,
        found.states.len().saturating_sub(1)
    );
    if found.dirty {
        text.push_str("It was not closed cleanly: counts may be too low (dirty bit).\n");
    }
    if found.corrupt {
        text.push_str(
            "Somebody found it corrupt before (corrupt bit): it is not opened for writing.\n",
        );
    }
    if found.problems.is_empty() {
        text.push_str("Nothing is wrong with its clusters.\n");
    }
    for problem in &found.problems {
        let _ = writeln!(text, "\n{}", fault_words(problem));
        for claim in &problem.owners {
            let _ = writeln!(text, "    used as {}", claim_words(claim, found));
        }
        for (state, range) in &problem.guest {
            let state = found.states.get(*state).map_or("", |state| &state.name);
            let _ = writeln!(
                text,
                "    affects {:#x} to {:#x} of the {state}",
                range.start, range.end
            );
        }
    }
    if found.unlisted > 0 {
        let _ = writeln!(text, "\n{} more are not listed", found.unlisted);
    }
    for (how, run) in repairs {
        let _ = write!(text, "\ncheck -r {how} would ");
        text.push_str(&repair_words(run));
    }
    text
}

fn repair_words(run: &DryRun) -> String {
    let mut words = match (&run.failure, &run.left) {
        (None, Some(left)) => format!(
            "repair {} leaks and {} corruptions; {} leaks and {} corruptions would be left\n",
            run.fixed.leaks_fixed, run.fixed.corruptions_fixed, left.leaks, left.corruptions
        ),
        (failure, _) => format!("fail: {}\n", failure.as_deref().unwrap_or("unknown")),
    };
    for line in run.lines.iter().filter(|line| line.starts_with("Re")) {
        let _ = writeln!(words, "    {line}");
    }
    words
}

fn as_value(name: &str, found: &Explanation, repairs: &[(&str, DryRun)]) -> Value {
    let problems: Vec<Value> = found
        .problems
        .iter()
        .map(|problem| problem_value(problem, found))
        .collect();
    let states: Vec<&str> = found
        .states
        .iter()
        .map(|state| state.name.as_str())
        .collect();
    let mut runs = Map::new();
    for (how, run) in repairs {
        runs.insert(
            (*how).to_owned(),
            json!({
                "lines": run.lines,
                "leaks-fixed": run.fixed.leaks_fixed,
                "corruptions-fixed": run.fixed.corruptions_fixed,
                "leaks-left": run.left.map(|left| left.leaks),
                "corruptions-left": run.left.map(|left| left.corruptions),
                "failure": run.failure,
            }),
        );
    }
    json!({
        "filename": name,
        "version": found.version,
        "cluster-size": found.cluster_size,
        "clusters": found.clusters,
        "dirty": found.dirty,
        "corrupt": found.corrupt,
        "states": states,
        "problems": problems,
        "unlisted": found.unlisted,
        "repairs": runs,
    })
}

fn problem_value(problem: &Problem, found: &Explanation) -> Value {
    let owners: Vec<Value> = problem
        .owners
        .iter()
        .map(|claim| {
            json!({
                "owner": owner_words(claim.owner),
                "state": state_name(claim.state, found),
            })
        })
        .collect();
    let guest: Vec<Value> = problem
        .guest
        .iter()
        .map(|(state, range)| {
            json!({
                "state": found.states.get(*state).map(|state| &state.name),
                "start": range.start,
                "end": range.end,
            })
        })
        .collect();
    json!({
        "fault": problem.fault.key(),
        "cluster": problem.cluster,
        "offset": problem.offset,
        "refcount": problem.refcount,
        "references": problem.references,
        "owners": owners,
        "affects": guest,
    })
}
