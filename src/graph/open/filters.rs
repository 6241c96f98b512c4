//! Filters over one child: `compress`, `copy-on-read`, `preallocate`, `throttle`.

use std::sync::Arc;

use super::opener::{NodeFlags, Opener};
use super::shown;
use crate::base::error::errno;
use crate::base::{Error, Result};
use crate::driver::compress::Compress;
use crate::driver::copy_on_read::CopyOnRead;
use crate::driver::filter::Filter;
use crate::driver::throttle::{Group, Throttle};
use crate::graph::OptionTree;
use crate::node::SharedNode;

/// The filter drivers that have one child, `file`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Compress,
    CopyOnRead,
    Preallocate,
    Throttle,
}

/// What the real tool writes ahead in units of: smaller ones are refused.
const SECTOR: u64 = 512;

impl Kind {
    pub(super) fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "compress" => Self::Compress,
            "copy-on-read" => Self::CopyOnRead,
            "preallocate" => Self::Preallocate,
            "throttle" => Self::Throttle,
            _ => return None,
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Compress => "compress",
            Self::CopyOnRead => "copy-on-read",
            Self::Preallocate => "preallocate",
            Self::Throttle => "throttle",
        }
    }
}

/// The throttle group that `tree` names.
fn take_group(opener: &Opener<'_>, tree: &mut OptionTree) -> Result<Arc<Group>> {
    let name = tree
        .take_text("throttle-group")
        .ok_or_else(|| Error::caller("Please specify a throttle group"))?;
    let groups = &opener.environment.throttle_groups;
    groups
        .get(&name)
        .cloned()
        .ok_or_else(|| Error::caller(format!("Throttle group '{name}' does not exist")))
}

/// Opens the filter that `tree` describes, on `file` when that is open already.
pub(super) fn open(
    opener: &Opener<'_>,
    kind: Kind,
    mut tree: OptionTree,
    file: Option<SharedNode>,
    flags: NodeFlags,
) -> Result<SharedNode> {
    let driver = kind.name();
    let child = match file {
        Some(file) => file,
        None => opener.open_required(&mut tree, "file", flags)?,
    };
    // What is no part of the disk's identity is not shown.
    let shown = tree.lookup("throttle-group").cloned();
    let group = match kind {
        Kind::Throttle => Some(take_group(opener, &mut tree)?),
        _ => None,
    };
    let inner: SharedNode = match kind {
        Kind::Compress => Arc::new(Compress::new(SharedNode::clone(&child))?),
        Kind::CopyOnRead => {
            let bottom = tree.take_text("bottom").map(|name| {
                let words = || Error::caller(format!("Bottom node '{name}' not found"));
                opener.named(&name).ok_or_else(words)
            });
            let bottom = bottom.transpose()?;
            if !flags.writable {
                return Err(Error::caller("Block node is read-only").with_errno(errno::EACCES));
            }
            let filter = CopyOnRead::new(SharedNode::clone(&child))?;
            Arc::new(filter.with_bottom(bottom))
        }
        Kind::Preallocate => {
            let align = tree.take_size("prealloc-align")?.unwrap_or(SECTOR);
            tree.take_size("prealloc-size")?;
            if !align.is_multiple_of(SECTOR) {
                return Err(Error::caller(format!(
                    "prealloc-align parameter of preallocate filter is not aligned to {SECTOR}"
                )));
            }
            SharedNode::clone(&child)
        }
        Kind::Throttle => {
            let group = group.ok_or_else(Error::eio)?;
            Arc::new(Throttle::new(SharedNode::clone(&child), group))
        }
    };
    if let Some((name, _)) = tree.iter().next() {
        return Err(Error::caller(format!(
            "Block format '{driver}' does not support the option '{name}'"
        )));
    }
    let mut members = vec![
        ("driver".to_owned(), driver.into()),
        ("file".to_owned(), shown::file_member(&child.filename())),
    ];
    members.extend(shown.map(|name| ("throttle-group".to_owned(), name)));
    if child.file().is_some()
        && let Some((_, member)) = members.iter_mut().find(|(name, _)| name == "file")
    {
        *member = shown::node_member(child.as_ref());
    }
    let filename = shown::json_name(members);
    Ok(Arc::new(Filter::new(driver, filename, inner, child)))
}
