//! `qemu-img snapshot`.

pub(super) mod table;

use std::time::{SystemTime, UNIX_EPOCH};

use super::arguments::Choice;
use super::failure::{Failure, Outcome};
use super::session::{ImageOptions, Session, one_image};
use crate::base::Error;
use crate::base::error::errno;
use crate::graph::OpenFlags;
use crate::node::{Node, SnapshotRequest};

const CHOICES: &[Choice] = &[
    Choice::flag('h', "help"),
    Choice::flag('q', "quiet"),
    Choice::value('f', "format"),
    Choice::long_flag("image-opts"),
    Choice::flag('U', "force-share"),
    Choice::flag('l', "list"),
    Choice::value('a', "apply"),
    Choice::value('c', "create"),
    Choice::value('d', "delete"),
    Choice::long_value("object"),
];

/// What to do.
#[derive(Debug)]
enum Action {
    List,
    Create(String),
    Apply(String),
    Delete(String),
}

/// Runs `qemu-img snapshot`.
pub fn run(session: &mut Session, arguments: Vec<String>) -> Outcome {
    let mut image = ImageOptions::default();
    let mut action = None;
    let mut given = session.arguments(CHOICES, arguments);
    while let Some(option) = session.next_option(&mut given)? {
        let Some(option) = image.take(option) else {
            continue;
        };
        let asked = match option.key {
            "create" => Action::Create(option.value),
            "apply" => Action::Apply(option.value),
            "delete" => Action::Delete(option.value),
            _ => Action::List,
        };
        if action.replace(asked).is_some() {
            return Err(Failure::Usage(
                "Cannot mix '-l', '-a', '-c', '-d'".to_owned(),
            ));
        }
    }
    let name = one_image(given)?;
    image.refuse_contradiction()?;
    let action = action.unwrap_or(Action::List);
    let environment = session.environment();
    let flags = OpenFlags {
        writable: !matches!(action, Action::List),
        ..OpenFlags::default()
    };
    let node = image.open(&name, flags, &environment)?;
    let outcome = act(session, node.as_ref(), &action);
    if outcome.is_err() && matches!(action, Action::Apply(_)) && node.driver() == "raw" {
        // Here the real tool opens the image again, and warns of a probed format again.
        node.close()?;
        drop(node);
        let flags = OpenFlags {
            about_to_write: true,
            ..OpenFlags::default()
        };
        image.open(&name, flags, &environment)?.close()?;
        outcome?;
        return Ok(0);
    }
    session.close_after(&node, outcome)?;
    Ok(0)
}

fn act(session: &Session, node: &dyn Node, action: &Action) -> Result<(), Failure> {
    match action {
        Action::List => {
            list(session, node);
            Ok(())
        }
        Action::Create(name) => {
            create(node, name).map_err(|error| refused("create", name, &error.errno_text()))
        }
        Action::Apply(name) => {
            apply(node, name).map_err(|error| refused("apply", name, &error.to_string()))
        }
        Action::Delete(name) => {
            delete(node, name).map_err(|error| refused("delete", name, &error.to_string()))
        }
    }
}

fn refused(verb: &str, name: &str, reason: &str) -> Failure {
    Failure::words(format!("Could not {verb} snapshot '{name}': {reason}"))
}

/// A format without snapshots has an empty list.
fn list(session: &Session, node: &dyn Node) {
    let snapshots = node.snapshots().unwrap_or_default();
    if !snapshots.is_empty() {
        session.print(&format!("Snapshot list:\n{}", table::table(&snapshots)));
    }
}

fn create(node: &dyn Node, name: &str) -> Result<(), Error> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    node.snapshot_create(&SnapshotRequest {
        name: name.to_owned(),
        date_seconds: u32::try_from(now.as_secs()).unwrap_or(u32::MAX),
        // The real tool's clock counts microseconds.
        date_nanoseconds: now.subsec_micros() * 1000,
    })
}

fn apply(node: &dyn Node, name: &str) -> Result<(), Error> {
    if !node.bitmaps().is_empty() {
        return Err(Error::caller("Device has active dirty bitmaps"));
    }
    node.snapshot_apply(name).map_err(|error| {
        // An image with a data file has a list of snapshots, if an empty one, and can't apply any.
        if error.errno() == errno::ENOTSUP && error.is_bare() && node.snapshots().is_err() {
            Error::unsupported("Block driver does not support snapshots")
        } else {
            error.prefixed("Failed to load snapshot: ")
        }
    })
}

/// The first snapshot with that name; an id does not count here.
fn delete(node: &dyn Node, name: &str) -> Result<(), Error> {
    let snapshots = node.snapshots().unwrap_or_default();
    let found = snapshots
        .iter()
        .find(|snapshot| snapshot.name == name)
        .ok_or_else(|| Error::caller("snapshot not found"))?;
    node.snapshot_delete(Some(&found.id), Some(&found.name))
}
