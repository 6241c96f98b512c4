//! Entry points of `fuzz/`: arbitrary bytes in, nothing out. A panic, a hang or runaway memory is the finding.
//!
//! Not part of the public interface.

mod pieces;
mod session;

use std::sync::Arc;

use crate::base::GuestOffset;
use crate::crypto::secret::Secret;
use crate::driver::luks::{Luks, LuksOpenOptions};
use crate::driver::memory::Memory;
use crate::driver::qcow1::{Qcow1, Qcow1OpenOptions};
use crate::driver::qcow2::{Qcow2, Qcow2OpenOptions};
use crate::format::luks1;
use crate::node::{HostFile, Node, Repair};

pub use pieces::{check, compressed_cluster, luks_open, option_tree, qcow1_read, snapshot_table};
pub use session::{Operation, Session, qcow2_ops};

/// Bytes read from one image: an image may claim exabytes.
const READ_CAP: u64 = 4 << 20;
/// Extents walked in one image.
const EXTENT_CAP: usize = 4096;
/// How far a file may grow while it is fuzzed.
const FILE_CAP: u64 = 64 << 20;
/// PBKDF2 rounds: enough to get through, few enough to be fast.
const ITERATION_CAP: u32 = 1000;

fn file_of(data: &[u8]) -> HostFile {
    HostFile::new(Arc::new(Memory::new(data.to_vec(), FILE_CAP)))
}

/// Asks everything that needs no data: `info`, snapshots, backing name.
fn describe(node: &dyn Node) {
    let _ = node.info();
    let _ = node.length();
    let _ = node.snapshots();
    let _ = node.backing_reference();
}

/// Walks the extents and reads the start and the end of the disk.
fn read_everything(node: &dyn Node) {
    describe(node);
    let Ok(length) = node.length() else { return };
    let mut offset = 0;
    for _ in 0..EXTENT_CAP {
        match node.extent(GuestOffset::new(offset), length.saturating_sub(offset)) {
            Ok(extent) if extent.length > 0 => offset = offset.saturating_add(extent.length),
            _ => break,
        }
    }
    let mut buffer = vec![0; 64 << 10];
    let starts = [0, length.saturating_sub(READ_CAP / 2)];
    for start in starts {
        let mut offset = start;
        while offset < length && offset < start.saturating_add(READ_CAP / 2) {
            let wanted = usize::try_from(length - offset)
                .unwrap_or(usize::MAX)
                .min(buffer.len());
            let Some(piece) = buffer.get_mut(..wanted) else {
                break;
            };
            let _ = node.read_at(GuestOffset::new(offset), piece);
            offset = offset.saturating_add(wanted as u64);
        }
    }
    let _ = node.close();
}

/// qcow v1: header, geometry, `info`.
pub fn qcow1_header(data: &[u8]) {
    let options = Qcow1OpenOptions {
        no_io: true,
        ..Qcow1OpenOptions::default()
    };
    if let Ok(image) = Qcow1::open(file_of(data), options) {
        describe(&*image);
    }
}

/// qcow2: header, extensions, snapshot table, `info`.
pub fn qcow2_header(data: &[u8]) {
    let options = Qcow2OpenOptions {
        no_io: true,
        ..Qcow2OpenOptions::default()
    };
    if let Ok(image) = Qcow2::open(file_of(data), &options) {
        describe(&*image);
    }
}

/// LUKS1: header in both places, the same after a round trip, `info`, and an unlock with few iterations.
pub fn luks1_header(data: &[u8]) {
    for detached in [false, true] {
        if let Ok(header) = luks1::Header::parse(data, detached) {
            let again = luks1::Header::parse(&header.encode(), detached);
            assert_eq!(
                again.as_ref(),
                Ok(&header),
                "a header changed in a round trip"
            );
        }
    }
    let options = LuksOpenOptions {
        key: Some(Secret::new(b"fuzz".to_vec())),
        max_iterations: Some(ITERATION_CAP),
        ..LuksOpenOptions::default()
    };
    if let Ok(volume) = Luks::open(file_of(data), options) {
        read_everything(&*volume);
    }
}

/// qcow2: opens arbitrary bytes, reads what there is within caps, checks.
pub fn qcow2_read(data: &[u8]) {
    let mut options = Qcow2OpenOptions::default();
    // The crypt method: a key only for legacy AES, since PBKDF2 would eat the fuzzer's time.
    if data.get(35) == Some(&1) {
        options.key = Some(Secret::new(b"fuzz".to_vec()));
    }
    if let Ok(image) = Qcow2::open(file_of(data), &options) {
        read_everything(&*image);
    }
    let options = Qcow2OpenOptions {
        check: true,
        ..options
    };
    if let Ok(image) = Qcow2::open(file_of(data), &options) {
        let _ = image.check(Repair::Nothing, &mut |_| {});
    }
}
