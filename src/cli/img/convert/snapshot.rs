//! `-l`: the source as one of its internal snapshots.

use super::super::failure::Failure;
use super::super::session::Session;
use super::options::Options;
use crate::base::Error;
use crate::base::error::errno;
use crate::graph::options::parse_options;
use crate::node::SharedNode;

const PREFIX: &str = "snapshot.";
const ID: &str = "snapshot.id";
const NAME: &str = "snapshot.name";

/// Which snapshot.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Either(String),
    Exactly {
        id: Option<String>,
        name: Option<String>,
    },
}

/// Refuses what is neither `ID_OR_NAME` nor `snapshot.id=…,snapshot.name=…`.
pub(in super::super) fn check(session: &Session, text: &str) -> Result<(), Failure> {
    if text.starts_with(PREFIX) {
        for warning in parse_options(text, None).warnings {
            session.say(&warning);
        }
    }
    parse(text).map(|_| ()).map_err(|failure| {
        if let Failure::Error(error, _) = &failure {
            session.report(error);
        }
        Failure::words(format!("Failed in parsing snapshot param '{text}'"))
    })
}

fn parse(text: &str) -> Result<Wanted, Failure> {
    if !text.starts_with(PREFIX) {
        return Ok(Wanted::Either(text.to_owned()));
    }
    let mut tree = parse_options(text, None).tree;
    let id = tree.take_text(ID);
    let name = tree.take_text(NAME);
    if let Some((unknown, _)) = tree.iter().next() {
        return Err(Error::caller(format!("Invalid parameter '{unknown}'")).into());
    }
    Ok(Wanted::Exactly { id, name })
}

/// Turns the source into a view of the snapshot that `-l` names.
pub(super) fn load(options: &Options, nodes: &[SharedNode]) -> Result<(), Failure> {
    let Some(text) = &options.snapshot else {
        return Ok(());
    };
    let [node] = nodes else {
        return Err(Failure::words(
            "No support for concatenating multiple snapshot",
        ));
    };
    load_one(node, text)
}

/// Turns one node into a view of the snapshot that `text` names.
pub(in super::super) fn load_one(node: &SharedNode, text: &str) -> Result<(), Failure> {
    let loaded = match parse(text)? {
        Wanted::Exactly { id, name } => node.snapshot_load(id.as_deref(), name.as_deref()),
        Wanted::Either(text) => load_either(node, &text),
    };
    loaded.map_err(|error| {
        let error = if error.is_bare() && error.errno() == errno::ENOTSUP {
            Error::unsupported(format!(
                "Block format '{}' used by device '' does not support temporarily loading internal snapshots",
                node.driver()
            ))
        } else if error.is_bare() && error.errno() == errno::ENOENT {
            Error::caller("Can't find snapshot")
        } else {
            error
        };
        error.prefixed("Failed to load snapshot: ").into()
    })
}

/// By id first, then by name.
fn load_either(node: &SharedNode, text: &str) -> Result<(), Error> {
    let snapshots = node.snapshots()?;
    if snapshots.iter().any(|snapshot| snapshot.id == text) {
        node.snapshot_load(Some(text), None)
    } else if snapshots.iter().any(|snapshot| snapshot.name == text) {
        node.snapshot_load(None, Some(text))
    } else {
        Err(Error::bare(errno::ENOENT))
    }
}
