//! Backing chains: layer by layer, from the top down.

use serde_json::Value;

use super::opener::{Layer, NodeFlags, Opener, Request};
use super::protocol::protocol_prefix;
use crate::base::{Error, Result};
use crate::graph::OptionTree;
use crate::node::{Access, BackingReference, Notices, Permissions, SharedNode};

/// What an image's tree says about its backing file.
#[derive(Clone, Debug, Default)]
pub(super) struct BackingOptions {
    /// `backing=null`: there is none, whatever the header says.
    none: bool,
    /// `backing=NAME`: a node that exists already.
    reference: Option<String>,
    /// `backing.…`
    tree: OptionTree,
}

impl BackingOptions {
    /// Of a node that has no backing file of its own: a filter's belongs to the image below it.
    pub(super) fn nothing() -> Self {
        Self {
            none: true,
            ..Self::default()
        }
    }

    /// Takes the options. Without a chain to open they are nobody's, except that there shall be none.
    pub(super) fn take(tree: &mut OptionTree, no_backing: bool, notices: &Notices) -> Self {
        let mut options = Self::default();
        match tree.lookup("backing") {
            Some(Value::Null) => options.none = true,
            Some(Value::String(name)) if name.is_empty() => {
                notices.say(
                    "warning: Use of \"backing\": \"\" is deprecated; use \"backing\": null instead",
                );
                options.none = true;
            }
            Some(Value::String(name)) if !no_backing => options.reference = Some(name.clone()),
            _ => {}
        }
        if options.none || options.reference.is_some() {
            tree.take("backing");
        }
        if !no_backing {
            options.tree = tree.take_below("backing.");
        }
        options
    }

    /// True when a backing file is asked for.
    pub(super) fn is_given(&self) -> bool {
        self.reference.is_some() || !self.tree.is_empty()
    }
}

/// Opens what lies below `top`, and hangs each layer under the one above.
///
/// Where that fails, what was open is closed as ever: opening for writing may have marked it as in use.
pub(super) fn open_chain(opener: &Opener<'_>, top: Layer) -> Result<()> {
    let node = SharedNode::clone(&top.node);
    open_below(opener, top).inspect_err(|_| {
        let _ = node.close();
    })
}

/// A loop rather than a recursion: how long the chain is, the images decide.
fn open_below(opener: &Opener<'_>, top: Layer) -> Result<()> {
    let mut upper = top;
    let mut depth = 1;
    loop {
        let Some(request) = request_below(&upper).map_err(|error| prefixed(error, depth))? else {
            return Ok(());
        };
        let flags = flags_below(upper.flags, depth);
        // An image takes two levels: its file is one below it.
        if flags.depth_left <= 1 {
            return Err(Error::invalid(format!(
                "Backing file '{}' creates an infinite loop.",
                request.name.as_deref().unwrap_or("")
            )));
        }
        let mut access = Access::default();
        if !flags.no_io {
            access.used |= Permissions::CONSISTENT_READ;
        }
        if flags.writable {
            access.used |= Permissions::WRITE;
        }
        let lower = opener
            .open_layer(request, flags, access)
            .map_err(|error| prefixed(error, depth))?;
        upper
            .node
            .set_backing(Some(SharedNode::clone(&lower.node)))?;
        upper = lower;
        depth += 1;
    }
}

fn prefixed(error: Error, depth: usize) -> Error {
    error.prefixed("Could not open backing file: ".repeat(depth))
}

fn flags_below(above: NodeFlags, depth: usize) -> NodeFlags {
    NodeFlags {
        writable: above.writable_backing == depth,
        check: false,
        backing: true,
        depth_left: above.depth_left.saturating_sub(1),
        ..above
    }
}

/// What is to be opened below `upper`, if anything.
fn request_below(upper: &Layer) -> Result<Option<Request>> {
    if upper.backing.none {
        return Ok(None);
    }
    if let Some(name) = &upper.backing.reference {
        return Err(Error::caller(format!(
            "Cannot find device='{name}' nor node-name='{name}'"
        )));
    }
    let mut tree = upper.backing.tree.clone();
    let names_a_file = tree.lookup("file.filename").is_some();
    let reference = upper.node.backing_reference();
    let name = match (&reference, names_a_file) {
        (Some(reference), false) => Some(resolve(&upper.node, &reference.name)),
        _ => None,
    };
    if name.is_none() && tree.is_empty() {
        return Ok(None);
    }
    let recorded = reference
        .and_then(|BackingReference { format, .. }| format)
        .filter(|format| !format.is_empty());
    if let Some(format) = recorded
        && tree.lookup("driver").is_none()
    {
        tree.set("driver", format);
    }
    Ok(Some(Request { name, tree }))
}

/// A backing file's name as seen from here: relative names start at the directory of the image that holds them.
fn resolve(image: &SharedNode, name: &str) -> String {
    let mut storage = SharedNode::clone(image);
    while let Some(file) = storage.file() {
        storage = file;
    }
    resolve_against(&storage.filename(), name)
}

/// `name` as seen from here when the image `overlay` names it.
pub fn resolve_against(overlay: &str, name: &str) -> String {
    if name.starts_with('/') || protocol_prefix(name).is_some() {
        return name.to_owned();
    }
    match overlay.rfind('/') {
        Some(slash) => format!("{}{name}", &overlay[..=slash]),
        None => name.to_owned(),
    }
}
