//! Format drivers: what each takes from the tree, and how it sits on its file.

use std::sync::Arc;

use super::opener::{NodeFlags, Opener, with_words};
use super::{probe, shown};
use crate::base::{Error, Result};
use crate::driver::raw::{Raw, Window};
use crate::graph::OptionTree;
use crate::node::{Access, Permissions, SharedNode};

/// The formats that are built here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Raw,
    Qcow1,
    Qcow2,
    Luks,
}

impl Format {
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "raw" => Self::Raw,
            "qcow" => Self::Qcow1,
            "qcow2" => Self::Qcow2,
            "luks" => Self::Luks,
            _ => return None,
        })
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow1 => "qcow",
            Self::Qcow2 => "qcow2",
            Self::Luks => "luks",
        }
    }

    /// What the driver does with its file when its own user does `access`.
    pub(super) fn access_to_file(self, access: Access, flags: NodeFlags) -> Access {
        match self {
            // What the user does with the disk is what happens to the file.
            Self::Raw | Self::Luks => access,
            // The driver keeps its own books in the file: nobody else may change it.
            Self::Qcow1 | Self::Qcow2 => {
                let mut used = access.used & Permissions::CONSISTENT_READ;
                if flags.writable {
                    used |= Permissions::WRITE | Permissions::RESIZE;
                }
                let unshared = if flags.force_share {
                    Permissions::empty()
                } else {
                    Permissions::WRITE | Permissions::RESIZE
                };
                Access { used, unshared }
            }
        }
    }
}

/// How a format node comes to be.
pub(super) struct Context {
    /// The bare name it was opened by.
    pub(super) shown: Option<String>,
    /// Nobody named the format.
    pub(super) probed: bool,
    pub(super) flags: NodeFlags,
    pub(super) access: Access,
}

/// Opens `format` on `file`.
pub(super) fn open(
    opener: &Opener<'_>,
    format: Format,
    file: SharedNode,
    mut tree: OptionTree,
    context: &Context,
) -> Result<SharedNode> {
    let filename = file.filename();
    file.set_access(format.access_to_file(context.access, context.flags))?;
    let node = match format {
        Format::Raw => open_raw(opener, file, &mut tree, context),
        Format::Qcow1 | Format::Qcow2 | Format::Luks => Err(Error::unsupported(format!(
            "Format '{}' is not supported yet",
            format.name()
        ))),
    }
    .map_err(|error| with_words(error, context.shown.as_deref().unwrap_or(&filename)))?;
    refuse_leftovers(format, &tree)?;
    Ok(node)
}

fn refuse_leftovers(format: Format, tree: &OptionTree) -> Result<()> {
    match tree.iter().next() {
        None => Ok(()),
        Some((name, _)) => Err(Error::caller(format!(
            "Block format '{}' does not support the option '{name}'",
            format.name()
        ))),
    }
}

fn open_raw(
    opener: &Opener<'_>,
    file: SharedNode,
    tree: &mut OptionTree,
    context: &Context,
) -> Result<SharedNode> {
    let below = file.filename();
    let mut members = vec![("driver".to_owned(), "raw".into())];
    for name in ["offset", "size"] {
        if let Some(value) = tree.lookup(name) {
            members.push((name.to_owned(), value.clone()));
        }
    }
    let window = Window {
        offset: tree.take_size("offset")?.unwrap_or(0),
        size: tree.take_size("size")?,
    };
    let plain = members.len() == 1 && file.driver() != "raw" && file.file().is_none();
    let filename = if plain {
        below.clone()
    } else {
        members.push(("file".to_owned(), shown::file_member(&below)));
        shown::json_name(members)
    };
    let raw = Raw::new(file, filename, window)?;
    if !context.probed || !context.flags.writable {
        return Ok(Arc::new(raw));
    }
    let notices = &opener.environment.notices;
    notices.say(&format!(
        "WARNING: Image format was not specified for '{below}' and probing guessed raw."
    ));
    notices.say(
        "         Automatically detecting the format is dangerous for raw images, write operations on block 0 will be restricted.",
    );
    notices.say("         Specify the 'raw' format explicitly to remove the restrictions.");
    Ok(Arc::new(raw.with_guard(probe::announces_a_format)))
}
