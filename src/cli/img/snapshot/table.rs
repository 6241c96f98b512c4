//! The table of snapshots that `snapshot -l` and `info` print.

use std::fmt::Write;

use chrono::{Local, TimeZone};

use crate::base::size::human;
use crate::node::SnapshotInfo;

/// The table, headings first.
pub fn table(snapshots: &[SnapshotInfo]) -> String {
    let mut text = row("ID", "TAG", "VM_SIZE", "DATE", "VM_CLOCK", "ICOUNT");
    for snapshot in snapshots {
        let icount = snapshot
            .icount
            .map_or_else(|| "--".to_owned(), |count| count.cast_signed().to_string());
        text.push_str(&row(
            &snapshot.id,
            &snapshot.name,
            &human(snapshot.vm_state_size),
            &date(snapshot.date_seconds),
            &clock(snapshot.vm_clock_nanoseconds),
            &icount,
        ));
    }
    text
}

fn row(id: &str, tag: &str, size: &str, date: &str, clock: &str, icount: &str) -> String {
    let mut text = String::new();
    // Widths count bytes, as C's do. Writing to a String does not fail.
    let _ = writeln!(
        text,
        "{id}{} {tag}{} {size:>8} {date:>19} {clock:>15} {icount:>10}",
        blanks(7, id),
        blanks(16, tag),
    );
    text
}

fn blanks(width: usize, text: &str) -> String {
    " ".repeat(width.saturating_sub(text.len()))
}

fn date(seconds: u32) -> String {
    match Local.timestamp_opt(i64::from(seconds), 0).single() {
        Some(date) => date.format("%Y-%m-%d %H:%M:%S").to_string(),
        None => String::new(),
    }
}

fn clock(nanoseconds: u64) -> String {
    let seconds = nanoseconds / 1_000_000_000;
    format!(
        "{:04}:{:02}:{:02}.{:03}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        nanoseconds / 1_000_000 % 1000
    )
}

#[cfg(test)]
mod tests;
