//! `length`, `map`, `alloc`, `info`.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::command::{Complaint, Outcome};
use super::session::{Session, visible_length};
use super::stats::human_bytes;
use super::words::number;
use crate::base::{GuestOffset, Result};
use crate::node::progress::FileUse;
use crate::node::{Node, SharedNode};

pub(super) fn length(session: &mut Session, _: &[&str]) -> Outcome {
    let node = session.node()?;
    let length = visible_length(node.as_ref())
        .map_err(|error| Complaint::Output(format!("getlength: {}", error.errno_text())))?;
    session.output.line(&human_bytes(length));
    Ok(())
}

/// Whether this layer decides the content at `offset`, and for how many bytes that holds.
fn allocated(node: &dyn Node, offset: u64, end: u64) -> Result<(bool, u64)> {
    let first = node.extent(GuestOffset::new(offset), end - offset)?;
    let mut length = first.length;
    // The answer may be shorter than the truth: ask on until the status changes.
    while length > 0 && offset + length < end {
        let place = offset + length;
        // What can't be told ends the run, and is an error when it is asked for itself.
        let Ok(next) = node.extent(GuestOffset::new(place), end - place) else {
            break;
        };
        if next.allocated != first.allocated || next.length == 0 {
            break;
        }
        length += next.length;
    }
    Ok((first.allocated, length))
}

pub(super) fn alloc(session: &mut Session, words: &[&str]) -> Outcome {
    let offset = number(words.get(1).copied().unwrap_or_default())?;
    let count = match words.get(2) {
        Some(count) => number(count)?,
        None => 512,
    };
    let node = session.node()?;
    let file_use = FileUse::start();
    let end = visible_length(node.as_ref()).map_err(|error| {
        Complaint::Output(format!("is_allocated failed: {}", error.errno_text()))
    })?;
    let count = count.min(end.saturating_sub(offset));
    let (mut place, mut sum) = (offset, 0);
    while place < offset + count {
        let (is_allocated, length) =
            allocated(node.as_ref(), place, offset + count).map_err(|error| {
                Complaint::Output(format!("is_allocated failed: {}", error.errno_text()))
            })?;
        if length == 0 {
            break;
        }
        if is_allocated {
            sum += length;
        }
        place += length;
    }
    session.settle_behind(file_use.any_table());
    session.output.line(&format!(
        "{sum}/{count} bytes allocated at offset {}",
        human_bytes(offset)
    ));
    Ok(())
}

pub(super) fn map(session: &mut Session, _: &[&str]) -> Outcome {
    let node = session.node()?;
    let file_use = FileUse::start();
    let mut text = String::new();
    let outcome = describe_layout(&node, &mut text);
    session.settle_behind(file_use.any_table());
    session.output.print(&text);
    outcome
}

/// A line for each stretch, as far as they can be read.
fn describe_layout(node: &SharedNode, text: &mut String) -> Outcome {
    let end = visible_length(node.as_ref())
        .map_err(|error| Complaint::Report(error.prefixed("Failed to query image length: ")))?;
    let mut place = 0;
    while place < end {
        let (is_allocated, length) = allocated(node.as_ref(), place, end).map_err(|error| {
            Complaint::Report(error.prefixed("Failed to get allocation status: "))
        })?;
        if length == 0 {
            break;
        }
        let _ = writeln!(
            text,
            "{} ({length:#x}) bytes {} at offset {} ({place:#x})",
            human_bytes(length),
            if is_allocated {
                "    allocated"
            } else {
                "not allocated"
            },
            human_bytes(place),
        );
        place += length;
    }
    Ok(())
}

/// Null disks have no facts, and votes have no layout.
fn tells_nothing(node: &SharedNode) -> bool {
    let driver = node.driver();
    driver == "quorum"
        || driver.starts_with("null-")
        || driver == "raw" && node.file().is_some_and(|file| tells_nothing(&file))
}

pub(super) fn info(session: &mut Session, _: &[&str]) -> Outcome {
    let node = session.node()?;
    let Ok(info) = node.info() else {
        // An image that was marked corrupt meanwhile has nothing to say.
        return Err(Complaint::Said);
    };
    let driver = node.driver();
    let mut text = format!("format name: {driver}\n");
    let protocol = node.file().is_none() && driver != "quorum";
    if protocol || matches!(driver, "blkdebug" | "blkverify") {
        // A protocol driver: its name as such follows the format's.
        let _ = writeln!(text, "format name: {driver}");
    }
    if tells_nothing(&node) {
        session.output.print(&text);
        return Err(Complaint::Said);
    }
    let _ = write!(
        text,
        "cluster size: {}\nvm state offset: {}\n",
        human_bytes(info.cluster_size.unwrap_or(0)),
        human_bytes(info.vm_state_offset),
    );
    if let Some((_, specific)) = info.specific.as_ref().filter(|(_, map)| !map.is_empty()) {
        text.push_str("Format specific information:\n");
        describe_members(&mut text, specific, 1);
    }
    session.output.print(&text);
    Ok(())
}

fn describe_members(text: &mut String, members: &Map<String, Value>, depth: usize) {
    for (name, value) in members {
        describe(text, &name.replace('-', " "), value, depth);
    }
}

/// One value, indented by four blanks a level.
fn describe(text: &mut String, name: &str, value: &Value, depth: usize) {
    let indent = 4 * depth;
    let _ = write!(text, "{:indent$}{name}:", "");
    match value {
        Value::Object(members) => {
            text.push('\n');
            describe_members(text, members, depth + 1);
        }
        Value::Array(items) => {
            text.push('\n');
            for (index, item) in items.iter().enumerate() {
                describe(text, &format!("[{index}]"), item, depth + 1);
            }
        }
        Value::String(value) => {
            let _ = writeln!(text, " {value}");
        }
        other => {
            let _ = writeln!(text, " {other}");
        }
    }
}
