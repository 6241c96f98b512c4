//! Protocol drivers: host files and null disks.

use std::os::unix::fs::FileTypeExt;
use std::sync::Arc;
use std::time::Duration;

use super::opener::{NodeFlags, Request, with_words};
use crate::base::{Error, Result};
use crate::driver::file::{File, FileOptions, Locking};
use crate::driver::null::Null;
use crate::graph::OptionTree;
use crate::node::SharedNode;

/// The protocol drivers that are built here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    File,
    HostDevice,
    Null(&'static str),
}

impl Protocol {
    pub(super) fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "file" => Self::File,
            "host_device" => Self::HostDevice,
            "null-co" => Self::Null("null-co"),
            "null-aio" => Self::Null("null-aio"),
            _ => return None,
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::HostDevice => "host_device",
            Self::Null(name) => name,
        }
    }
}

/// Protocols that would reach out over a network or into another program: refused by name, whoever asks.
const REFUSED: [&str; 13] = [
    "ftp", "ftps", "gluster", "http", "https", "iscsi", "iser", "nbd", "nfs", "nvme", "rbd", "ssh",
    "fat",
];

/// The protocol that a bare file name starts with, and the rest: `nbd:` in `nbd:localhost:10809`.
pub(super) fn protocol_prefix(name: &str) -> Option<(&str, &str)> {
    let colon = name.find(':')?;
    // A slash before the colon makes it an ordinary path.
    if name[..colon].contains('/') {
        return None;
    }
    Some((&name[..colon], &name[colon + 1..]))
}

/// Opens what a bare name stands for.
pub(super) fn open_named(name: &str, flags: NodeFlags) -> Result<SharedNode> {
    let mut tree = OptionTree::default();
    let kind = match protocol_prefix(name) {
        None => {
            tree.set("filename", name);
            Protocol::File
        }
        Some(("file", path)) => {
            // Without the prefix the name must not look like one with a protocol.
            let path = match protocol_prefix(path) {
                Some(_) => format!("./{path}"),
                None => path.to_owned(),
            };
            tree.set("filename", path);
            Protocol::File
        }
        Some(("host_device", path)) => {
            tree.set("filename", path);
            Protocol::HostDevice
        }
        Some((null @ ("null-co" | "null-aio"), rest)) => {
            let driver = if null == "null-co" {
                "null-co"
            } else {
                "null-aio"
            };
            check_null_name(driver, &format!("{null}:{rest}"))?;
            Protocol::Null(driver)
        }
        Some((protocol, _)) => return Err(refused(protocol)),
    };
    open(kind, Request { name: None, tree }, flags)
}

fn check_null_name(driver: &str, name: &str) -> Result<()> {
    if name.strip_prefix(driver) == Some("://") {
        Ok(())
    } else {
        Err(Error::caller(format!(
            "The only allowed filename for this driver is '{driver}://'"
        )))
    }
}

/// The path at which an image can be created under a bare name.
pub(crate) fn creatable_path(name: &str) -> Result<String> {
    match protocol_prefix(name) {
        None => Ok(name.to_owned()),
        // That it is a device is found out when it is opened: see [`check_target`].
        Some(("file" | "host_device", path)) => Ok(path.to_owned()),
        Some((driver @ ("null-co" | "null-aio" | "blkdebug" | "blkverify"), _)) => {
            Err(Error::unsupported(format!(
                "Protocol driver '{driver}' does not support image creation"
            )))
        }
        Some((protocol, _)) => Err(refused(protocol)),
    }
}

/// Of devices only one that is there can be written anew.
pub(crate) fn check_target(name: &str) -> Result<()> {
    let Some(("host_device", path)) = protocol_prefix(name) else {
        return Ok(());
    };
    refuse_no_device(path).map_err(|error| {
        error.prefixed(
            "Protocol driver 'host_device' does not support creating new images, so an existing image must be selected as \
             the target; however, opening the given target as an existing image failed: ",
        )
    })
}

fn refuse_no_device(path: &str) -> Result<()> {
    let kind = std::fs::metadata(path)
        .map_err(|error| with_words(error.into(), path))?
        .file_type();
    if kind.is_char_device() || kind.is_block_device() {
        Ok(())
    } else {
        Err(no_device(path))
    }
}

fn no_device(path: &str) -> Error {
    Error::caller(format!(
        "'host_device' driver requires '{path}' to be either a character or block device"
    ))
}

fn refused(protocol: &str) -> Error {
    let base = protocol.split_once('+').map_or(protocol, |(base, _)| base);
    if REFUSED.contains(&base) {
        Error::unsupported(format!("Protocol '{protocol}' is not supported"))
    } else {
        Error::caller(format!("Unknown protocol '{protocol}'"))
    }
}

/// Opens a protocol node from its options.
pub(super) fn open(kind: Protocol, request: Request, flags: NodeFlags) -> Result<SharedNode> {
    let mut tree = request.tree;
    match (kind, request.name) {
        (_, None) => {}
        (Protocol::Null(driver), Some(name)) => check_null_name(driver, &name)?,
        (_, Some(name)) => tree.set("filename", name),
    }
    let node: SharedNode = match kind {
        Protocol::File | Protocol::HostDevice => open_file(kind, &mut tree, flags)?,
        Protocol::Null(name) => open_null(name, &mut tree, flags)?,
    };
    refuse_leftovers(kind.name(), &tree)?;
    Ok(node)
}

/// Refuses options that nobody took.
pub(super) fn refuse_leftovers(driver: &str, tree: &OptionTree) -> Result<()> {
    match tree.iter().next() {
        None => Ok(()),
        Some((name, _)) => Err(Error::caller(format!(
            "Block protocol '{driver}' doesn't support the option '{name}'"
        ))),
    }
}

fn open_file(kind: Protocol, tree: &mut OptionTree, flags: NodeFlags) -> Result<SharedNode> {
    let filename = match tree.take("filename") {
        Some(serde_json::Value::String(name)) => name,
        // What is no text is as good as nothing.
        _ => String::new(),
    };
    let locking = match tree.take_choice("locking", &["auto", "on", "off"])? {
        Some(1) => Locking::On,
        Some(2) => Locking::Off,
        _ => Locking::Auto,
    };
    // How the real tools do their I/O has no meaning here; the words are checked all the same.
    let aio = tree.take_choice("aio", &["threads", "native", "io_uring"])?;
    let native = aio.map_or(flags.native_aio, |choice| choice == 1);
    tree.take_number("aio-max-batch")?;
    tree.take_switch("drop-cache")?;
    tree.take_switch("x-check-cache-dropped")?;
    if let Some(manager) = tree.take_text("pr-manager") {
        return Err(Error::caller(format!(
            "No persistent reservation manager with id '{manager}'"
        )));
    }
    let options = FileOptions {
        writable: flags.writable,
        direct: flags.direct,
        no_flush: flags.no_flush,
        discard: flags.discard,
        locking,
        ..FileOptions::default()
    };
    let file = File::open(&filename, options).map_err(|error| with_words(error, &filename))?;
    if kind == Protocol::HostDevice && !file.is_device() {
        return Err(no_device(&filename));
    }
    if native && !flags.direct {
        return Err(Error::caller(
            "aio=native was specified, but it requires cache.direct=on, which was not specified.",
        ));
    }
    Ok(Arc::new(file))
}

/// The longest disk, in whole sectors.
const MOST_BYTES: u64 = i64::MAX.unsigned_abs() - 511;

fn open_null(driver: &'static str, tree: &mut OptionTree, flags: NodeFlags) -> Result<SharedNode> {
    let filename = super::shown::null_name(driver, tree);
    let length = tree.take_size("size")?;
    let latency = tree.take_number("latency-ns")?.unwrap_or(0);
    if i64::try_from(latency).is_err() {
        return Err(Error::caller("latency-ns is invalid"));
    }
    let read_zeroes = tree.take_switch("read-zeroes")?.unwrap_or(false);
    if length.is_some_and(|length| length > MOST_BYTES) {
        return Err(Error::caller(
            "Could not refresh total sector count: File too large",
        ));
    }
    let disk = Null::new(driver, filename, length, read_zeroes, flags.writable);
    Ok(Arc::new(disk.with_latency(Duration::from_nanos(latency))))
}
