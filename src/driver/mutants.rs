//! Faults on purpose, for the test of the conformance suite: an implementation that has one must be caught. Only in
//! builds with the feature `mutants`, and there only when `COWPROOF_MUTANT` names one.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use parking_lot::Mutex;

use crate::base::HostOffset;

/// LUKS in qcow2 takes the guest's sector.
pub const LUKS_GUEST_SECTOR: &str = "luks-guest-sector";
/// Legacy AES takes the file's sector.
pub const LEGACY_HOST_SECTOR: &str = "legacy-host-sector";
/// What copy-on-write copies in front of a write is stored in clear.
pub const HEAD_IN_CLEAR: &str = "head-in-clear";
/// A freed cluster that is used again takes the guest's sector.
pub const REUSE_GUEST_SECTOR: &str = "reuse-guest-sector";

/// One byte of what the guest writes is another.
pub const WRONG_BYTE_WRITTEN: &str = "wrong-byte-written";
/// One byte of what the guest reads is another.
pub const WRONG_BYTE_READ: &str = "wrong-byte-read";

static CHOSEN: LazyLock<String> =
    LazyLock::new(|| std::env::var("COWPROOF_MUTANT").unwrap_or_default());

/// Sectors of the file that were given out again by this process.
static REUSED: Mutex<BTreeSet<u64>> = Mutex::new(BTreeSet::new());

const SECTOR: u64 = 512;

/// Clusters were given out, in a file of that length.
pub fn note_allocation(host: HostOffset, length: u64, file_length: u64) {
    if *CHOSEN == REUSE_GUEST_SECTOR && host.bytes() < file_length {
        let sectors = host.bytes() / SECTOR..(host.bytes() + length) / SECTOR;
        REUSED.lock().extend(sectors);
    }
}

/// Whether the sector at `host` gets its IV from the wrong domain. `luks`: the right one is the file.
pub fn takes_the_other_domain(luks: bool, host: HostOffset) -> bool {
    match CHOSEN.as_str() {
        LUKS_GUEST_SECTOR => luks,
        LEGACY_HOST_SECTOR => !luks,
        REUSE_GUEST_SECTOR => luks && REUSED.lock().contains(&(host.bytes() / SECTOR)),
        _ => false,
    }
}

/// Whether what is copied in front of a write stays in clear.
pub fn leaves_heads_in_clear() -> bool {
    *CHOSEN == HEAD_IN_CLEAR
}

/// What reaches the image of what the guest writes.
pub fn written(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if *CHOSEN == WRONG_BYTE_WRITTEN {
        spoil(&mut bytes);
    }
    bytes
}

/// What the guest gets of what was read.
pub fn note_read(bytes: &mut [u8]) {
    if *CHOSEN == WRONG_BYTE_READ {
        spoil(bytes);
    }
}

fn spoil(bytes: &mut [u8]) {
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 0x20;
    }
}
