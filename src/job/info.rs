//! What `info` tells about an image, gathered from its nodes.

use crate::base::error::errno;
use crate::base::{Error, Result};
use crate::node::{ImageInfo, Node, SharedNode, SnapshotInfo};

/// One node's facts.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The name that the node shows.
    pub filename: String,
    /// The driver.
    pub format: &'static str,
    /// Visible length in bytes.
    pub virtual_size: u64,
    /// Bytes that the storage really uses, when known.
    pub actual_size: Option<u64>,
    /// What the image's header says.
    pub image: ImageInfo,
    /// Whether the node knows about a clean shutdown at all (null devices do not).
    pub has_image_facts: bool,
    /// The backing file that the header names.
    pub backing: Option<BackingFacts>,
    /// The internal snapshots.
    pub snapshots: Vec<SnapshotInfo>,
    /// The nodes below, by the name of the edge; the top node's backing file is not among them.
    pub children: Vec<(String, Self)>,
}

/// The backing file as named, and as it would be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackingFacts {
    /// The name in the header.
    pub name: String,
    /// The name resolved against the image's directory.
    pub full_name: String,
    /// The format, when recorded.
    pub format: Option<String>,
}

/// Gathers the facts of a node and of what lies below it.
pub fn gather(node: &SharedNode) -> Result<Facts> {
    let children = node
        .children()
        .into_iter()
        .map(|(edge, child)| Ok((edge, gather_below(&child)?)))
        .collect::<Result<Vec<_>>>()?;
    let facts_of = |wanted: &str| {
        let child = children.iter().find(|(edge, _)| edge == wanted);
        child.is_some_and(|(_, child)| child.has_image_facts)
    };
    let has_image_facts = match node.driver() {
        "raw" => facts_of("file"),
        "blkverify" => facts_of("raw"),
        driver => driver != "quorum" && !driver.starts_with("null-"),
    };
    Ok(Facts {
        filename: node.filename(),
        format: node.driver(),
        virtual_size: node.length()?,
        actual_size: node.allocated_bytes(),
        image: node.info()?,
        has_image_facts,
        backing: backing(node.as_ref()),
        snapshots: snapshots(node.as_ref())?,
        children,
    })
}

/// The same of a node below another: here the backing file is one more node below.
fn gather_below(node: &SharedNode) -> Result<Facts> {
    let mut facts = gather(node)?;
    if keeps_backing_name(node.as_ref())
        && let Some(backing) = node.backing()
    {
        let backing = ("backing".to_owned(), gather_below(&backing)?);
        facts.children.insert(0, backing);
    }
    Ok(facts)
}

/// Filters answer for the node that they wrap, which is listed below them anyway.
fn keeps_backing_name(node: &dyn Node) -> bool {
    matches!(node.driver(), "qcow" | "qcow2")
}

fn snapshots(node: &dyn Node) -> Result<Vec<SnapshotInfo>> {
    node.snapshots().or_else(|error: Error| {
        if error.errno() == errno::ENOTSUP {
            Ok(Vec::new())
        } else {
            Err(error)
        }
    })
}

fn backing(node: &dyn Node) -> Option<BackingFacts> {
    let reference = node
        .backing_reference()
        .filter(|_| keeps_backing_name(node))?;
    let storage = bottom_filename(node);
    Some(BackingFacts {
        full_name: resolve(&storage, &reference.name),
        name: reference.name,
        format: reference.format,
    })
}

/// The name of the host file below, whatever the name of the node itself says.
fn bottom_filename(node: &dyn Node) -> String {
    match node.file() {
        Some(file) => bottom_filename(file.as_ref()),
        None => node.filename(),
    }
}

/// A backing file's name as seen from the directory of the image that names it.
fn resolve(image: &str, name: &str) -> String {
    let directory = match image.rfind('/') {
        Some(slash) => image.get(..=slash).unwrap_or_default(),
        None => "",
    };
    if name.starts_with('/') || has_protocol(name) {
        name.to_owned()
    } else {
        format!("{directory}{name}")
    }
}

/// A colon before the first slash marks a protocol.
fn has_protocol(name: &str) -> bool {
    name.split('/')
        .next()
        .is_some_and(|first| first.contains(':'))
}

#[cfg(test)]
mod tests;
