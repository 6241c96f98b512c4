//! Which format a file's first bytes announce.

use std::path::Path;

use super::formats::Format;
use crate::base::{Error, GuestOffset, Result};
use crate::node::SharedNode;

/// What the real tools look at, at least: a shorter file is padded with zeros (qcow1 §2).
const PROBE_BYTES: usize = 512;

/// The format of a file; raw when nothing else fits.
pub(super) fn probe(file: &SharedNode) -> Result<Format> {
    let mut head = [0; PROBE_BYTES];
    file.read_at(GuestOffset::ZERO, &mut head)
        .map_err(|error| error.prefixed("Could not read image for determining its format: "))?;
    match foreign(&head, &file.filename()) {
        Some(name) => Err(Error::caller(format!("Unknown driver '{name}'"))),
        None => Ok(by_header(&head)),
    }
}

/// The formats that are not built here, by the name that the real tools give them: never taken for raw, which would
/// let a guest's disk be changed as if it were one.
fn foreign(head: &[u8], filename: &str) -> Option<&'static str> {
    const PARALLELS: [&[u8]; 2] = [b"WithoutFreeSpace\x02\0\0\0", b"WithouFreSpacExt\x02\0\0\0"];
    const CLOOP: &[u8] =
        b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0 && mount -r -t iso9660 /dev/cloop $1\n";
    let starts = |magic: &[u8]| head.starts_with(magic);
    let has = |offset: usize, magic: &[u8]| {
        head.get(offset..)
            .is_some_and(|rest| rest.starts_with(magic))
    };
    if starts(b"KDMV") || starts(b"COWD") || is_vmdk_descriptor(head) {
        Some("vmdk")
    } else if starts(b"conectix") {
        Some("vpc")
    } else if starts(b"vhdxfile") {
        Some("vhdx")
    } else if starts(b"QED\0") {
        Some("qed")
    } else if has(64, &[0x7f, 0x10, 0xda, 0xbe]) {
        Some("vdi")
    } else if PARALLELS.into_iter().any(starts) {
        Some("parallels")
    } else if starts(b"Bochs Virtual HD Image") && has(32, b"Redolog\0") && has(48, b"Growing\0") {
        Some("bochs")
    } else if starts(CLOOP) {
        Some("cloop")
    } else if Path::new(filename)
        .extension()
        .is_some_and(|ending| ending == "dmg")
    {
        Some("dmg")
    } else {
        None
    }
}

/// Comments, then the version: a descriptor that names the files of a VMDK image.
fn is_vmdk_descriptor(head: &[u8]) -> bool {
    head.starts_with(b"#")
        && head
            .split(|&byte| byte == b'\n')
            .find(|line| !matches!(line.first(), None | Some(b'#' | b' ' | b'\r')))
            .is_some_and(|line| {
                [b"version=1", b"version=2", b"version=3"]
                    .into_iter()
                    .any(|version| line.trim_ascii_end() == version)
            })
}

pub(super) fn by_header(head: &[u8]) -> Format {
    const QCOW_MAGIC: &[u8] = b"QFI\xfb";
    const LUKS_MAGIC: &[u8] = b"LUKS\xba\xbe";
    if let Some(rest) = head.strip_prefix(QCOW_MAGIC)
        && let Some(version) = rest.first_chunk::<4>()
    {
        match u32::from_be_bytes(*version) {
            0 => {}
            1 => return Format::Qcow1,
            _ => return Format::Qcow2,
        }
    }
    // luks1 §1: version 2 volumes probe as raw.
    if let Some(rest) = head.strip_prefix(LUKS_MAGIC)
        && rest.starts_with(&[0, 1])
    {
        return Format::Luks;
    }
    Format::Raw
}

/// True when a first sector would not be probed as raw.
pub(super) fn announces_a_format(head: &[u8]) -> bool {
    by_header(head) != Format::Raw || foreign(head, "").is_some()
}
