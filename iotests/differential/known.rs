//! The differences that are meant: each is a row of `docs/differences.md`.

use crate::play::{Arena, Difference, Verdict};
use crate::script::Case;
use crate::seeds::Seeds;

/// A row, and how to see it.
struct Row {
    name: &'static str,
    matches: fn(&Case, &Seeds, &Difference) -> bool,
}

const ROWS: [Row; 9] = [
    Row {
        name: "LUKS1: key material whose end passes 2^32 sectors",
        matches: |case, _, difference| {
            case.changes_a("key_offset") && difference.ours.contains("is overlapping with")
        },
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
        name: "qcow2: the bitmaps' autoclear bit without bitmaps",
        matches: |case, _, difference| {
            case.changes_a("autoclear")
                && difference.real.contains("overlaps with bitmap directory")
        },
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
                && case
                    .changes
                    .iter()
                    .any(|change| change.field() == "length" || change.field().starts_with("l1"))
                && words(&difference.ours) == words(&difference.real)
        },
    },
    Row {
        name: "qcow2: bitmaps that can't be stored",
        matches: |_, _, difference| {
            let lost = "Lost persistent bitmaps during inactivation";
            let others = |text: &str| {
                let ends = [
                    "Exit(",
                    "qemu-img: Invalid argument",
                    "qemu-img: Input/output error",
                ];
                let kept = text
                    .lines()
                    .filter(|line| !ends.iter().any(|end| line.starts_with(end)));
                kept.map(str::to_owned).collect::<Vec<_>>()
            };
            difference.ours.contains(lost) && others(&difference.ours) == others(&difference.real)
        },
    },
    Row {
        name: "qcow2: tables behind what the file system can hold",
        matches: |_, _, difference| {
            let large = "File too large";
            difference.ours.contains(large)
                && (!difference.real.contains(large)
                    || words(&difference.ours).replace(large, "Invalid argument")
                        == words(&difference.real).replace(large, "Invalid argument"))
        },
    },
];

/// What was said, without what was left in the files.
fn words(text: &str) -> &str {
    text.find("\nfile ")
        .and_then(|end| text.get(..end))
        .unwrap_or(text)
}

/// A row that is about some of the commands: without them both sides must agree.
struct Part {
    name: &'static str,
    /// Whether the command, that with this index, is one of those.
    is_about: fn(&Case, usize, &Arena) -> bool,
}

const PARTS: [Part; 6] = [
    Part {
        name: "qcow v1: compressed write to a cluster that is already allocated",
        is_about: |case, index, arena| {
            case.driver(arena.seeds()) == "qcow" && writes_compressed_again(case, index, arena)
        },
    },
    Part {
        name: "qcow v1: what a write that fails in the middle leaves",
        is_about: |case, index, arena| {
            case.driver(arena.seeds()) == "qcow"
                && (case.lines[index].starts_with("write")
                    || case.lines[index].starts_with("discard"))
                && our_end(case, index, arena).contains(" failed: ")
        },
    },
    Part {
        name: "qcow v1: order of a write",
        is_about: |case, index, arena| {
            case.driver(arena.seeds()) == "qcow"
                && case.changes_a("length")
                && case.lines[index].starts_with("write")
        },
    },
    Part {
        name: "qcow2: freed clusters of an image that is marked corrupt before they are flushed",
        is_about: |case, index, arena| {
            case.lines[index].starts_with("discard")
                && our_end(case, index, arena).starts_with("discard ")
                && arena.our_words(case).contains("Marking image as corrupt")
        },
    },
    Part {
        name: "qcow2: a read that fails in two places",
        is_about: |case, index, arena| {
            case.lines[index].starts_with("read")
                && our_end(case, index, arena).contains("read failed: ")
        },
    },
    Part {
        name: "qcow2: a snapshot that can't be taken",
        is_about: |case, index, arena| {
            case.lines[index].starts_with("snapshot -c")
                && our_end(case, index, arena).contains("Could not create snapshot")
        },
    },
];

/// What we say of the command with that index.
fn our_end(case: &Case, index: usize, arena: &Arena) -> String {
    let said = |count: usize| {
        let mut shorter = case.clone();
        shorter.lines.truncate(count);
        words(&arena.our_words(&shorter)).to_owned()
    };
    let (before, after) = (said(index), said(index + 1));
    let same = before
        .bytes()
        .zip(after.bytes())
        .take_while(|(a, b)| a == b)
        .count();
    String::from_utf8_lossy(&after.as_bytes()[same..]).into_owned()
}

fn writes_compressed_again(case: &Case, index: usize, arena: &Arena) -> bool {
    let mut fields = case.lines[index].split(' ');
    if !case.lines[index].starts_with("write -c") {
        return false;
    }
    let (Some(length), Some(offset)) = (fields.next_back(), fields.next_back()) else {
        return false;
    };
    let mut shorter = case.clone();
    shorter.lines.truncate(index);
    shorter.lines.push(format!("alloc {offset} {length}"));
    let said = arena.our_words(&shorter);
    let free = format!("0/{length} bytes allocated");
    said.contains("bytes allocated at offset") && !said.contains(&free)
}

/// The same case without the commands that a row is about, where there are some.
fn without(part: &Part, case: &Case, arena: &Arena) -> Option<Case> {
    let mut smaller = case.clone();
    // From the end: what a command does depends on those before it.
    for index in (0..case.lines.len()).rev() {
        if (part.is_about)(case, index, arena) {
            smaller.lines.remove(index);
        }
    }
    (smaller.lines.len() < case.lines.len()).then_some(smaller)
}

fn row(case: &Case, seeds: &Seeds, difference: &Difference) -> Option<&'static str> {
    ROWS.iter()
        .find(|row| (row.matches)(case, seeds, difference))
        .map(|row| row.name)
}

/// The row that a difference belongs to.
pub fn name(case: &Case, arena: &Arena, difference: &Difference) -> Option<&'static str> {
    row(case, arena.seeds(), difference).or_else(|| {
        let mut rest = case.clone();
        PARTS.iter().find_map(|part| {
            rest = without(part, &rest, arena)?;
            let verdict = arena.play(std::slice::from_ref(&rest)).pop()?;
            let explained = match verdict {
                Verdict::Agree => true,
                Verdict::Differ(left) => row(&rest, arena.seeds(), &left).is_some(),
                _ => false,
            };
            explained.then_some(part.name)
        })
    })
}
