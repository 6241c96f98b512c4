//! Format drivers: what each takes from the tree, and how it sits on its file.

use std::sync::Arc;

use super::opener::{NodeFlags, Opener, with_words};
use super::{probe, protocol, qcow2_options, shown};
use crate::base::{Error, Result};
use crate::crypto::secret::Secret;
use crate::driver::luks::{Luks, LuksOpenOptions};
use crate::driver::qcow1::{Qcow1, Qcow1OpenOptions};
use crate::driver::qcow2::{Qcow2, Qcow2OpenOptions};
use crate::driver::raw::{Raw, Window};
use crate::graph::OptionTree;
use crate::node::{Access, HostFile, Node, Notices, Permissions, SharedNode};

/// The formats that are built here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Raw,
    Qcow1,
    Qcow2,
    Luks,
}

/// Every driver name that the real tools know: what a header may record as a backing format.
const KNOWN_DRIVERS: [&str; 43] = [
    "blkdebug",
    "blklogwrites",
    "blkverify",
    "bochs",
    "cloop",
    "compress",
    "copy-before-write",
    "copy-on-read",
    "dmg",
    "file",
    "ftp",
    "ftps",
    "gluster",
    "host_cdrom",
    "host_device",
    "http",
    "https",
    "iscsi",
    "iser",
    "luks",
    "nbd",
    "nfs",
    "null-aio",
    "null-co",
    "nvme",
    "parallels",
    "preallocate",
    "qcow",
    "qcow2",
    "qed",
    "quorum",
    "raw",
    "rbd",
    "replication",
    "snapshot-access",
    "ssh",
    "throttle",
    "vdi",
    "vhdx",
    "vmdk",
    "vpc",
    "vvfat",
    "host_floppy",
];

/// Every driver that is built here: formats, protocols and filters.
pub const DRIVERS: &[&str] = &[
    "blkdebug",
    "blklogwrites",
    "blkverify",
    "compress",
    "copy-on-read",
    "file",
    "host_device",
    "luks",
    "null-aio",
    "null-co",
    "preallocate",
    "qcow",
    "qcow2",
    "quorum",
    "raw",
    "throttle",
];

/// True for every driver name that the real tools know, built here or not.
pub(crate) fn is_known_driver(name: &str) -> bool {
    KNOWN_DRIVERS.contains(&name)
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

    /// True when images of the format can lie on top of another.
    pub(crate) const fn has_backing(self) -> bool {
        matches!(self, Self::Qcow1 | Self::Qcow2)
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
    let mut access = format.access_to_file(context.access, context.flags);
    let moved = tree.clone().take_size("offset").ok().flatten();
    let window = moved.is_some_and(|offset| offset > 0) || tree.lookup("size").is_some();
    if format == Format::Raw && window && !context.flags.force_share {
        access.unshared |= Permissions::RESIZE;
    }
    file.set_access(access)?;
    let node = match format {
        Format::Raw => open_raw(opener, file, &mut tree, context),
        Format::Qcow1 => open_qcow1(opener, &file, &mut tree, context),
        Format::Qcow2 => open_qcow2(opener, &file, &mut tree, context),
        Format::Luks => open_luks(opener, &file, &mut tree, context),
    }
    .map_err(|error| with_words(error, context.shown.as_deref().unwrap_or(&filename)))?;
    refuse_unknown(format.name(), &tree)?;
    Ok(node)
}

/// Refuses options that a format or filter does not know.
pub(super) fn refuse_unknown(driver: &str, tree: &OptionTree) -> Result<()> {
    match tree.iter().next() {
        None => Ok(()),
        Some((name, _)) => Err(Error::caller(format!(
            "Block format '{driver}' does not support the option '{name}'"
        ))),
    }
}

/// What lengths are counted in, in bytes.
const SECTOR: u64 = 512;

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
    // A debugging node has a short name of its own.
    let named = file.file().is_none()
        || (matches!(file.driver(), "blkdebug" | "blkverify") && !below.starts_with("json:"));
    let plain = members.len() == 1 && file.driver() != "raw" && named;
    let filename = if plain {
        below.clone()
    } else {
        members.push(("file".to_owned(), shown::node_member(file.as_ref())));
        shown::json_name(members)
    };
    let unit = file.request_alignment();
    let odd = unit > SECTOR && !file.length()?.is_multiple_of(unit);
    if odd && context.flags.writable && matches!(file.driver(), "blkdebug" | "blklogwrites") {
        return Err(Error::caller(
            "Cannot get 'write' permission without 'resize': Image size is not a multiple of request alignment",
        ));
    }
    let raw = Raw::new(file, filename, window)?
        .with_discard(context.flags.discard)
        .as_storage(context.flags.storage);
    let writes = context.flags.writable || context.flags.about_to_write;
    if !context.probed || !writes {
        return Ok(Arc::new(raw));
    }
    if !context.flags.backing {
        warn_of_probing(&below, &opener.environment.notices);
    }
    Ok(Arc::new(raw.with_guard(probe::announces_a_format)))
}

fn warn_of_probing(filename: &str, notices: &Notices) {
    notices.say(&format!(
        "WARNING: Image format was not specified for '{filename}' and probing guessed raw."
    ));
    notices.say(
        "         Automatically detecting the format is dangerous for raw images, write operations on block 0 will be restricted.",
    );
    notices.say("         Specify the 'raw' format explicitly to remove the restrictions.");
}

/// What the tree says about the encryption of a qcow or qcow2 image.
struct EncryptOptions {
    format: Option<String>,
    key: Option<Result<Secret>>,
    unknown: Option<String>,
}

impl EncryptOptions {
    fn take(opener: &Opener<'_>, tree: &mut OptionTree, context: &Context) -> Self {
        let mut below = tree.take_below("encrypt.");
        let format = below.take_text("format");
        // Without I/O nobody asks for the key: the secret may be missing.
        let key = below
            .take_text("key-secret")
            .filter(|_| !context.flags.no_io)
            .map(|id| opener.environment.secrets.passphrase(&id));
        // Of a nested name the real tools tell the outermost part.
        let outermost = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
        let unknown = below.iter().next().map(|(name, _)| outermost(name));
        Self {
            format,
            key,
            unknown,
        }
    }

    /// The key. `inspect` opens the image without I/O and tells whether it is encrypted: what is wrong with the
    /// header comes before what is wrong with these options, and a plain image does not mind them at all.
    fn key(self, inspect: impl FnOnce() -> Result<bool>) -> Result<Option<Secret>> {
        match (self.unknown, self.key) {
            (None, None) => Ok(None),
            (None, Some(Ok(key))) => Ok(Some(key)),
            (unknown, key) => {
                if !inspect()? {
                    return Ok(None);
                }
                match unknown {
                    Some(name) => Err(Error::caller(format!("Parameter '{name}' is unexpected"))),
                    None => key.transpose(),
                }
            }
        }
    }
}

fn open_qcow1(
    opener: &Opener<'_>,
    file: &SharedNode,
    tree: &mut OptionTree,
    context: &Context,
) -> Result<SharedNode> {
    let filename = shown::format_name("qcow", &file.filename(), None, tree);
    let encrypt = EncryptOptions::take(opener, tree, context);
    let host = HostFile::new(SharedNode::clone(file));
    let mut options = Qcow1OpenOptions {
        writable: context.flags.writable,
        no_io: context.flags.no_io,
        encrypt_format: encrypt.format.clone(),
        notices: opener.environment.notices.clone(),
        filename,
        ..Qcow1OpenOptions::default()
    };
    let inspect = || {
        let options = Qcow1OpenOptions {
            no_io: true,
            ..options.clone()
        };
        Ok(Qcow1::open(host.clone(), options)?.info()?.encrypted)
    };
    options.key = encrypt.key(inspect)?;
    Ok(Qcow1::open(host, options)?)
}

fn open_qcow2(
    opener: &Opener<'_>,
    file: &SharedNode,
    tree: &mut OptionTree,
    context: &Context,
) -> Result<SharedNode> {
    let filename = shown::format_name("qcow2", &file.filename(), None, tree);
    let encrypt = EncryptOptions::take(opener, tree, context);
    let host = HostFile::new(SharedNode::clone(file));
    let mut options = Qcow2OpenOptions {
        writable: context.flags.writable,
        no_io: context.flags.no_io,
        check: context.flags.check,
        encrypt_format: encrypt.format.clone(),
        discard_unmap: context.flags.discard,
        notices: opener.environment.notices.clone(),
        filename,
        ..qcow2_options::take(tree)?
    };
    let inspect = || {
        let options = Qcow2OpenOptions {
            no_io: true,
            writable: false,
            ..options.clone()
        };
        Ok(Qcow2::open(host.clone(), &options)?.info()?.encrypted)
    };
    options.key = encrypt.key(inspect)?;
    let below = tree.take_below("data-file.");
    let reference = tree.take_text("data-file");
    let mut data_file = |name: Option<&str>| {
        let file = if let Some(reference) = &reference {
            return Err(Error::caller(format!(
                "Cannot find device='{reference}' nor node-name='{reference}'"
            )));
        } else if !below.is_empty() {
            opener.open_child(below.clone(), context.flags)?
        } else if let Some(name) = name {
            protocol::open_named(name, context.flags.for_file())?
        } else {
            return Ok(None);
        };
        file.set_access(Format::Raw.access_to_file(context.access, context.flags))?;
        Ok(Some(HostFile::new(file)))
    };
    Ok(Qcow2::open_with_data(host, &options, &mut data_file)?)
}

fn open_luks(
    opener: &Opener<'_>,
    file: &SharedNode,
    tree: &mut OptionTree,
    context: &Context,
) -> Result<SharedNode> {
    let header = tree.take_below("header.");
    let detached_header = if header.is_empty() {
        None
    } else {
        Some(opener.open_child(header, context.flags)?)
    };
    let header_name = detached_header.as_ref().map(|header| header.filename());
    let filename = shown::format_name("luks", &file.filename(), header_name.as_deref(), tree);
    let key = match tree.take_text("key-secret") {
        Some(id) if !context.flags.no_io => Some(opener.environment.secrets.passphrase(&id)?),
        _ => None,
    };
    let options = LuksOpenOptions {
        no_io: context.flags.no_io,
        key,
        detached_header: detached_header.map(HostFile::new),
        filename,
        ..LuksOpenOptions::default()
    };
    Ok(Luks::open(HostFile::new(SharedNode::clone(file)), options)?)
}
