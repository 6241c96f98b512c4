//! Drivers with more than one child besides a backing file: `blkverify`, `blklogwrites`, `quorum`.

use std::sync::Arc;

use serde_json::Value;

use super::formats::refuse_unknown;
use super::opener::{NodeFlags, Opener};
use super::{protocol, shown};
use crate::base::{Error, Result};
use crate::driver::blklogwrites::{self, Blklogwrites, LogOptions};
use crate::driver::blkverify::Blkverify;
use crate::driver::quorum::{Quorum, QuorumOptions};
use crate::graph::OptionTree;
use crate::node::{Access, Node, Permissions, SharedNode};

/// Opens the node of `blkverify:RAW:IMAGE`; `rest` is what follows the first colon.
pub(super) fn open_blkverify_named(
    opener: &Opener<'_>,
    rest: &str,
    flags: NodeFlags,
) -> Result<SharedNode> {
    let Some((raw, image)) = rest.split_once(':') else {
        return Err(Error::caller(
            "blkverify requires raw copy and original image path",
        ));
    };
    let mut tree = OptionTree::default();
    tree.set("x-raw", raw);
    tree.set("x-image", image);
    open_blkverify(opener, tree, flags)
}

/// Opens the `blkverify` node that `tree` describes.
pub(super) fn open_blkverify(
    opener: &Opener<'_>,
    mut tree: OptionTree,
    flags: NodeFlags,
) -> Result<SharedNode> {
    let mut child = |option: &str, name: &str, format: bool| match tree.take_text(option) {
        Some(path) if format => opener.open_probed(path, flags),
        Some(path) => opener.open_protocol(&path, flags),
        // An image has no driver unless it is named.
        None if format
            && tree.lookup(&format!("{name}.filename")).is_some()
            && tree.lookup(&format!("{name}.driver")).is_none() =>
        {
            Err(Error::caller("Must specify either driver or file"))
        }
        None => opener.open_required(&mut tree, name, flags),
    };
    let raw = child("x-raw", "raw", false)?;
    let test = child("x-image", "test", true)?;
    protocol::refuse_leftovers("blkverify", &tree)?;
    let filename = blkverify_name(raw.as_ref(), test.as_ref());
    let notices = opener.environment.notices.clone();
    let node = Blkverify::new(raw, test, filename, notices);
    let unshared = alone(Permissions::RESIZE, flags);
    Ok(Arc::new(node.unsharing(unshared)))
}

/// `blkverify:RAW:IMAGE` where both have names that can be put so.
fn blkverify_name(raw: &dyn Node, test: &dyn Node) -> String {
    let names = [raw.filename(), test.filename()];
    if !names.iter().any(|name| name.starts_with("json:")) {
        return format!("blkverify:{}", names.join(":"));
    }
    shown::json_name(vec![
        ("driver".to_owned(), "blkverify".into()),
        ("test".to_owned(), shown::node_member(test)),
        ("raw".to_owned(), shown::node_member(raw)),
    ])
}

/// What a node keeps others from, unless it was told to share everything.
fn alone(unshared: Permissions, flags: NodeFlags) -> Permissions {
    if flags.force_share {
        Permissions::empty()
    } else {
        unshared
    }
}

/// Opens the `blklogwrites` node that `tree` describes, on `file` when that is open already.
pub(super) fn open_blklogwrites(
    opener: &Opener<'_>,
    mut tree: OptionTree,
    file: Option<SharedNode>,
    flags: NodeFlags,
) -> Result<SharedNode> {
    let given = own_options(&tree, &["file", "log", "log-super-update-interval"]);
    let file = match file {
        Some(file) => file,
        None => opener.open_required(&mut tree, "file", flags)?,
    };
    let log = opener.open_required(&mut tree, "log", flags)?;
    log.set_access(Access {
        used: Permissions::CONSISTENT_READ | Permissions::WRITE | Permissions::RESIZE,
        unshared: alone(Permissions::WRITE | Permissions::RESIZE, flags),
    })?;
    let sector_size = tree.take_size("log-sector-size")?;
    let append = tree.take_switch("log-append")?.unwrap_or(false);
    if append && sector_size.is_some() {
        return Err(Error::caller(
            "log-append and log-sector-size are mutually exclusive",
        ));
    }
    let sector_size = sector_size.unwrap_or(SECTOR);
    if !blklogwrites::fits(sector_size) {
        return Err(Error::caller(format!(
            "Invalid log sector size {sector_size}"
        )));
    }
    let super_interval = tree
        .take_number("log-super-update-interval")?
        .unwrap_or(SUPER_INTERVAL);
    if super_interval == 0 {
        return Err(Error::caller("Invalid log superblock update interval 0"));
    }
    refuse_unknown("blklogwrites", &tree)?;
    if flags.writable && !file.length()?.is_multiple_of(sector_size) {
        return Err(Error::caller(
            "Cannot get 'write' permission without 'resize': Image size is not a multiple of request alignment",
        ));
    }
    let mut members = vec![
        ("driver".to_owned(), "blklogwrites".into()),
        ("file".to_owned(), shown::node_member(file.as_ref())),
        ("log".to_owned(), shown::node_member(log.as_ref())),
    ];
    members.extend(given);
    let options = LogOptions {
        filename: shown::json_name(members),
        sector_size,
        append,
        super_interval,
    };
    Ok(Arc::new(Blklogwrites::new(file, log, options)?))
}

/// The sector size of a new log.
const SECTOR: u64 = 512;
/// So many entries are logged before the log's first sector counts them.
const SUPER_INTERVAL: u64 = 4096;

/// The options of the node itself, for its name.
fn own_options(tree: &OptionTree, children: &[&str]) -> Vec<(String, Value)> {
    tree.iter()
        .filter(|(name, _)| {
            let outermost = name.split('.').next().unwrap_or(name);
            !children.contains(&outermost)
        })
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect()
}

/// Opens the `quorum` node that `tree` describes.
pub(super) fn open_quorum(
    opener: &Opener<'_>,
    mut tree: OptionTree,
    flags: NodeFlags,
) -> Result<SharedNode> {
    let given = own_options(&tree, &["children"]);
    let mut below = tree.take_below("children.");
    let mut children = Vec::new();
    for index in 0_u32.. {
        let child = below.take_below(&format!("{index}."));
        if child.is_empty() {
            break;
        }
        children.push(child);
    }
    if !below.is_empty() {
        return Err(Error::caller("Option children is not a valid array"));
    }
    if children.is_empty() {
        return Err(Error::caller(
            "Number of provided children must be 1 or more",
        ));
    }
    let threshold = tree.take_number("vote-threshold")?.unwrap_or(0);
    // The low 32 bits with their sign: what is left of a large number there.
    let [a, b, c, d, ..] = threshold.to_le_bytes();
    let threshold = i32::from_le_bytes([a, b, c, d]);
    let threshold = usize::try_from(threshold)
        .ok()
        .filter(|count| *count > 0)
        .ok_or_else(|| Error::caller("Parameter 'vote-threshold' expects a value >= 1"))?;
    if threshold > children.len() {
        return Err(Error::caller("threshold may not exceed children count"));
    }
    let (first, verify, rewrite) = take_quorum_modes(&mut tree, children.len(), threshold)?;
    refuse_unknown("quorum", &tree)?;
    let copies = children
        .into_iter()
        .map(|child| opener.open_child(child, flags))
        .collect::<Result<Vec<_>>>()?;
    let shown = copies.iter().map(|copy| shown::node_member(copy.as_ref()));
    let mut members = vec![
        ("driver".to_owned(), "quorum".into()),
        ("children".to_owned(), Value::Array(shown.collect())),
    ];
    members.extend(given);
    let options = QuorumOptions {
        filename: shown::json_name(members),
        unshared: alone(Permissions::WRITE | Permissions::RESIZE, flags),
        threshold,
        verify,
        rewrite,
        first,
    };
    let notices = opener.environment.notices.clone();
    Ok(Arc::new(Quorum::new(copies, options, notices)?))
}

/// `read-pattern=fifo`, `blkverify`, `rewrite-corrupted`.
fn take_quorum_modes(
    tree: &mut OptionTree,
    children: usize,
    threshold: usize,
) -> Result<(bool, bool, bool)> {
    let first = match tree.take_text("read-pattern").as_deref() {
        None | Some("quorum") => false,
        Some("fifo") => true,
        Some(_) => {
            return Err(Error::caller("Please set read-pattern as fifo or quorum"));
        }
    };
    let verify = tree.take_switch("blkverify")?.unwrap_or(false);
    let rewrite = tree.take_switch("rewrite-corrupted")?.unwrap_or(false);
    if !first && verify && (children != 2 || threshold != 2) {
        return Err(Error::caller(
            "blkverify=on can only be set if there are exactly two files and vote-threshold is 2",
        ));
    }
    if !first && verify && rewrite {
        return Err(Error::caller(
            "rewrite-corrupted=on cannot be used with blkverify=on",
        ));
    }
    Ok((first, verify && !first, rewrite && !first))
}
