//! The same operations on our image in memory and on the real tool's image in a file.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use super::{Qcow2, Qcow2OpenOptions};
use crate::base::{GuestOffset, Result};
use crate::driver::memory::Memory;
use crate::node::{HostFile, Node, Preallocation, SnapshotRequest, ZeroFlags};

/// One operation on an open image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Write(u64, u64, u8),
    Zero(u64, u64),
    ZeroUnmap(u64, u64),
    Discard(u64, u64),
    Compressed(u64, u64, u8),
    VmState(u64, u64, u8),
    Flush,
    Truncate(u64),
    /// Alone in its session: `qemu-img snapshot`.
    Snapshot(SnapshotStep),
}

/// What is done with snapshots, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SnapshotStep {
    Create(u64),
    Apply(u64),
    Delete(u64),
}

impl Operation {
    /// What `qemu-io` calls it.
    fn command(self) -> String {
        match self {
            Self::Write(offset, length, pattern) => format!("write -P {pattern} {offset} {length}"),
            Self::Zero(offset, length) => format!("write -z {offset} {length}"),
            Self::ZeroUnmap(offset, length) => format!("write -z -u {offset} {length}"),
            Self::Discard(offset, length) => format!("discard {offset} {length}"),
            Self::Compressed(offset, length, pattern) => {
                format!("write -c -P {pattern} {offset} {length}")
            }
            Self::VmState(offset, length, pattern) => {
                format!("write -b -P {pattern} {offset} {length}")
            }
            Self::Flush => "flush".to_owned(),
            Self::Truncate(length) => format!("truncate {length}"),
            Self::Snapshot(step) => match step {
                SnapshotStep::Create(number) => format!("-c s{number}"),
                SnapshotStep::Apply(number) => format!("-a s{number}"),
                SnapshotStep::Delete(number) => format!("-d s{number}"),
            },
        }
    }

    pub(super) fn apply(self, node: &dyn Node) -> Result<()> {
        let bytes = |length: u64, pattern| vec![pattern; usize::try_from(length).unwrap()];
        match self {
            Self::Write(offset, length, pattern) => {
                node.write_at(GuestOffset::new(offset), &bytes(length, pattern))
            }
            Self::Zero(offset, length) => {
                node.write_zeroes(GuestOffset::new(offset), length, ZeroFlags::empty())
            }
            Self::ZeroUnmap(offset, length) => {
                node.write_zeroes(GuestOffset::new(offset), length, ZeroFlags::MAY_UNMAP)
            }
            Self::Discard(offset, length) => node.discard(GuestOffset::new(offset), length),
            Self::Compressed(offset, length, pattern) => {
                node.write_compressed(GuestOffset::new(offset), &bytes(length, pattern))
            }
            Self::VmState(offset, length, pattern) => {
                node.write_vm_state(offset, &bytes(length, pattern))
            }
            Self::Flush => node.flush(),
            Self::Truncate(length) => node.resize(length, Preallocation::Off),
            Self::Snapshot(step) => match step {
                SnapshotStep::Create(number) => node.snapshot_create(&SnapshotRequest {
                    name: format!("s{number}"),
                    ..SnapshotRequest::default()
                }),
                SnapshotStep::Apply(number) => node.snapshot_apply(&format!("s{number}")),
                SnapshotStep::Delete(number) => {
                    node.snapshot_delete(None, Some(&format!("s{number}")))
                }
            },
        }
    }
}

/// Whether the real tools are here; says so when not.
pub(super) fn real_tools() -> bool {
    let found = Command::new("qemu-img").arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped(no qemu-img)");
    }
    found
}

/// Runs a real tool; gives its success and everything it said.
pub(super) fn tool(name: &str, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(name).args(arguments).output().unwrap();
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said += &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

/// Makes an image with `qemu-img create`.
pub(super) fn create(path: &Path, options: &str, size: u64) {
    let path = path.to_str().unwrap();
    let size = size.to_string();
    let mut arguments = vec!["create", "-q", "-f", "qcow2"];
    if !options.is_empty() {
        arguments.extend(["-o", options]);
    }
    arguments.extend([path, &size]);
    let (success, said) = tool("qemu-img", &arguments);
    assert!(success, "{said}");
}

/// Runs operations with the real tool, each session an open and a close.
pub(super) fn run_real(path: &Path, sessions: &[Vec<Operation>]) -> String {
    let mut said = String::new();
    for session in sessions {
        if let [Operation::Snapshot(_)] = session[..] {
            let command = session[0].command();
            let mut arguments = vec!["snapshot"];
            arguments.extend(command.split(' '));
            arguments.push(path.to_str().unwrap());
            said += &tool("qemu-img", &arguments).1;
            continue;
        }
        let mut command = Command::new("qemu-io");
        for operation in session {
            command.args(["-c", &operation.command()]);
        }
        let output = command.args(["-f", "qcow2"]).arg(path).output().unwrap();
        said += &String::from_utf8_lossy(&output.stdout);
        said += &String::from_utf8_lossy(&output.stderr);
    }
    said
}

/// Opens image bytes for writing as `qemu-io` does.
pub(super) fn open_bytes(image: Vec<u8>) -> (Arc<Memory>, Arc<Qcow2>) {
    let memory = Arc::new(Memory::new(image, 1 << 32));
    let options = Qcow2OpenOptions {
        writable: true,
        discard_unmap: true,
        ..Qcow2OpenOptions::default()
    };
    let image = Qcow2::open(HostFile::new(memory.clone()), &options).unwrap();
    (memory, image)
}

/// Runs operations on ours, each session an open and a close; gives the file's bytes.
pub(super) fn run_ours(mut image: Vec<u8>, sessions: &[Vec<Operation>]) -> Vec<u8> {
    for session in sessions {
        let (memory, node) = open_bytes(image);
        for operation in session {
            if let Err(error) = operation.apply(&*node) {
                eprintln!("{operation:?}: {error}");
            }
        }
        node.close().unwrap();
        image = memory.snapshot();
    }
    image
}

fn number(image: &[u8], at: usize, width: usize) -> u64 {
    (0..width).fold(0, |value, step| {
        value << 8 | u64::from(image.get(at + step).copied().unwrap_or(0))
    })
}

/// Header fields, tables and counts of an image as text, so that two can be compared line by line.
pub(super) fn layout(image: &[u8]) -> String {
    let mut text = String::new();
    let at = |offset: u64| usize::try_from(offset).unwrap();
    let cluster_bits = number(image, 20, 4);
    let cluster = 1_u64 << cluster_bits;
    writeln!(
        text,
        "length {:#x} size {}",
        image.len(),
        number(image, 24, 8)
    )
    .unwrap();
    let (l1_entries, l1) = (number(image, 36, 4), number(image, 40, 8));
    writeln!(text, "l1 {l1_entries} at {l1:#x}").unwrap();
    for index in 0..l1_entries {
        let entry = number(image, at(l1 + index * 8), 8);
        if entry == 0 {
            continue;
        }
        writeln!(text, "l1[{index}] {entry:#x}").unwrap();
        let table = entry & 0x00ff_ffff_ffff_fe00;
        let extended = number(image, 72, 8) & 16 != 0 && number(image, 4, 4) > 2;
        let width = if extended { 16 } else { 8 };
        for index in 0..cluster / width {
            let place = at(table + index * width);
            let entry = number(image, place, 8);
            let subclusters = number(image, place + 8, 8);
            if extended && (entry, subclusters) != (0, 0) {
                writeln!(text, "  l2[{index}] {entry:#x} {subclusters:#x}").unwrap();
            } else if !extended && entry != 0 {
                writeln!(text, "  l2[{index}] {entry:#x}").unwrap();
            }
        }
    }
    let (table, clusters) = (number(image, 48, 8), number(image, 56, 4));
    writeln!(text, "refcount table {clusters} at {table:#x}").unwrap();
    for index in 0..clusters * cluster / 8 {
        let block = number(image, at(table + index * 8), 8);
        if block != 0 {
            let start = at(block).min(image.len());
            let end = at(block + cluster).min(image.len());
            let bytes = &image[start..end];
            let used = bytes
                .iter()
                .rposition(|byte| *byte != 0)
                .map_or(0, |last| last + 1);
            writeln!(text, "  block[{index}] {block:#x} {:02x?}", &bytes[..used]).unwrap();
        }
    }
    writeln!(text, "features {:x?}", &image[72..96]).unwrap();
    text
}

/// The first lines in which two layouts differ.
pub(super) fn difference(real: &str, ours: &str) -> Option<String> {
    if real == ours {
        return None;
    }
    let mut text = String::new();
    let mut shown = 0;
    let (mut a, mut b) = (real.lines(), ours.lines());
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Some(text),
            (x, y) if x != y && shown < 12 => {
                shown += 1;
                writeln!(text, "real {}\nours {}", x.unwrap_or("-"), y.unwrap_or("-")).unwrap();
            }
            _ => {}
        }
    }
}
