//! Which format a file's first bytes announce.

use super::formats::Format;
use crate::base::{GuestOffset, Result};
use crate::node::SharedNode;

/// What the real tools look at, at least: a shorter file is padded with zeros (qcow1 §2).
const PROBE_BYTES: usize = 512;

/// The format of a file; raw when nothing else fits.
pub(super) fn probe(file: &SharedNode) -> Result<Format> {
    let mut head = [0; PROBE_BYTES];
    file.read_at(GuestOffset::ZERO, &mut head)
        .map_err(|error| error.prefixed("Could not read image for determining its format: "))?;
    Ok(by_header(&head))
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
    by_header(head) != Format::Raw
}
