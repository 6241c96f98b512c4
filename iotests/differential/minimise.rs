//! A smaller case that still differs.

use crate::known;
use crate::play::{Arena, Difference, Verdict};
use crate::script::Case;

/// Attempts at one case.
const ATTEMPTS_MAX: usize = 80;

fn differs(case: &Case, arena: &Arena) -> Option<Difference> {
    match arena.play(std::slice::from_ref(case)).pop() {
        Some(Verdict::Differ(difference)) if known::name(case, arena, &difference).is_none() => {
            Some(difference)
        }
        _ => None,
    }
}

/// Leaves out changes, then commands, then single bytes of what is left.
pub fn minimise(case: &Case, found: Difference, arena: &Arena) -> (Case, Difference) {
    let mut best = (case.clone(), found);
    let mut attempts = 0;
    let mut index = 0;
    while index < best.0.changes.len() {
        let mut smaller = best.0.clone();
        smaller.changes.remove(index);
        match differs(&smaller, arena) {
            Some(difference) => best = (smaller, difference),
            None => index += 1,
        }
    }
    let mut index = best.0.lines.len();
    while index > 0 && attempts < ATTEMPTS_MAX {
        index -= 1;
        if best.0.lines[index].starts_with("open") || best.0.lines[index] == "close" {
            continue;
        }
        attempts += 1;
        let mut smaller = best.0.clone();
        smaller.lines.remove(index);
        if let Some(difference) = differs(&smaller, arena) {
            best = (smaller, difference);
        }
    }
    for index in 0..best.0.changes.len() {
        for byte in 0..8 {
            let mut smaller = best.0.clone();
            let original = &arena.seeds().list[case.image].bytes;
            if !smaller.changes[index].restore(byte, original) {
                continue;
            }
            if let Some(difference) = differs(&smaller, arena) {
                best = (smaller, difference);
            }
        }
    }
    best
}
