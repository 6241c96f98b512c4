//! The differences that are meant: each is a row of `docs/differences.md`.

use crate::play::Difference;
use crate::script::Case;
use crate::seeds::Seeds;

/// A row, and how to see it.
struct Row {
    name: &'static str,
    matches: fn(&Case, &Seeds, &Difference) -> bool,
}

const ROWS: [Row; 13] = [
    Row {
        name: "LUKS1: key material whose end passes 2^32 sectors",
        matches: |case, _, difference| {
            case.changes_a("key_offset") && difference.ours.contains("is overlapping with")
        },
    },
    Row {
        name: "qcow v1: compressed write to a cluster that is already allocated",
        matches: |case, seeds, _| seeds.list[case.image].driver == "qcow" && case.compresses(),
    },
    Row {
        name: "qcow2: a compressed write of several clusters that fails in one of them",
        matches: |case, _, difference| {
            let failed = "write failed: ";
            case.compresses()
                && difference.ours.contains(failed)
                && difference.real.contains(failed)
        },
    },
    Row {
        name: "qcow2: check of a table that many entries name",
        matches: |_, _, difference| {
            let sorted = |text: &str| {
                let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
                lines.sort();
                lines
            };
            difference.ours.contains("$ check")
                && sorted(&difference.ours) == sorted(&difference.real)
        },
    },
    Row {
        name: "qcow v1: what a write that fails in the middle leaves",
        matches: |case, seeds, difference| {
            seeds.list[case.image].driver == "qcow"
                && difference.ours.contains("write failed: ")
                && words(&difference.ours) == words(&difference.real)
        },
    },
    Row {
        name: "qcow2: the bitmaps' autoclear bit without bitmaps",
        matches: |case, _, difference| {
            case.changes_a("autoclear")
                && difference.real.contains("overlaps with bitmap directory")
        },
    },
    Row {
        name: "qcow2: a header with an empty backing file name",
        matches: |case, _, _| case.changes_a("backing_file_offset"),
    },
    Row {
        name: "convert that fails in several places",
        matches: |_, _, difference| {
            let failed = "error while reading at byte";
            let others = |text: &str| {
                let kept = text.lines().filter(|line| !line.contains(failed));
                kept.map(str::to_owned).collect::<Vec<_>>()
            };
            difference.ours.contains(failed) && others(&difference.ours) == others(&difference.real)
        },
    },
    Row {
        name: "qcow2: a cluster that no refcount block counts",
        matches: |_, _, difference| difference.real.contains("Resource temporarily unavailable"),
    },
    Row {
        name: "qcow v1: order of a write",
        matches: |case, seeds, difference| {
            seeds.list[case.image].driver == "qcow"
                && case.changes_a("length")
                && words(&difference.ours) == words(&difference.real)
        },
    },
    Row {
        name: "qcow2: tables behind what the file system can hold",
        matches: |_, _, difference| {
            difference.ours.contains("File too large")
                && !difference.real.contains("File too large")
        },
    },
    Row {
        name: "qcow2: bitmaps that can't be stored",
        matches: |_, _, difference| {
            let lost = "Lost persistent bitmaps during inactivation";
            difference.ours.contains(lost) && difference.real.contains(lost)
        },
    },
    Row {
        name: "qcow2: a read that fails in two places",
        matches: |case, _, difference| {
            let failed = "read failed: ";
            case.changes.len() > 1
                && difference.ours.contains(failed)
                && difference.real.contains(failed)
        },
    },
];

/// What was said, without what was left in the files.
fn words(text: &str) -> &str {
    text.find("\nfile ")
        .and_then(|end| text.get(..end))
        .unwrap_or(text)
}

/// The row that a difference belongs to.
pub fn name(case: &Case, seeds: &Seeds, difference: &Difference) -> Option<&'static str> {
    ROWS.iter()
        .find(|row| (row.matches)(case, seeds, difference))
        .map(|row| row.name)
}
