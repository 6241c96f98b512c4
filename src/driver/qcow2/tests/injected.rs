//! An error at any event leaves leaks at worst, and an image that works.

use std::sync::Arc;

use parking_lot::Mutex;

use super::super::create::{Qcow2CreateOptions, create};
use super::super::testing::{Operation, SnapshotStep};
use super::super::{Qcow2, Qcow2OpenOptions};
use crate::base::error::errno;
use crate::base::{Error, Result};
use crate::driver::blkdebug::{Blkdebug, BlkdebugOptions, InjectError, IoTypes, Limits, Rule};
use crate::driver::memory::Memory;
use crate::node::{DebugEvent, HostFile, Node, Notices, Repair, SharedNode};

const CAP: u64 = 64 << 20;

fn open(file: SharedNode) -> Result<Arc<Qcow2>> {
    open_with(file, Notices::default())
}

fn open_with(file: SharedNode, notices: Notices) -> Result<Arc<Qcow2>> {
    let options = Qcow2OpenOptions {
        writable: true,
        discard_unmap: true,
        notices,
        ..Qcow2OpenOptions::default()
    };
    Qcow2::open(HostFile::new(file), &options)
}

/// An image with data, compressed data and a snapshot that shares both.
fn prototype() -> Vec<u8> {
    let file = Arc::new(Memory::new(Vec::new(), CAP));
    let options = Qcow2CreateOptions {
        size: 1 << 20,
        cluster_size: 512,
        ..Qcow2CreateOptions::default()
    };
    let host = HostFile::new(Arc::clone(&file) as SharedNode);
    create(&host, &options, &|| Err(Error::key("no key"))).unwrap();
    let image = open(Arc::clone(&file) as SharedNode).unwrap();
    for operation in [
        Operation::Write(0, 8192, 1),
        Operation::Compressed(16384, 512, 2),
        Operation::Snapshot(SnapshotStep::Create(1)),
        Operation::Write(512, 512, 3),
    ] {
        operation.apply(image.as_ref()).unwrap();
    }
    image.close().unwrap();
    file.snapshot()
}

const OPERATIONS: [Operation; 12] = [
    Operation::Write(256, 4096, 4),
    Operation::Compressed(20480, 512, 5),
    Operation::Zero(1024, 1024),
    Operation::Discard(4096, 2048),
    Operation::Write(32768, 65536, 6),
    Operation::VmState(0, 2000, 7),
    Operation::Truncate(8 << 20),
    Operation::Write(7 << 20, 512, 8),
    Operation::Snapshot(SnapshotStep::Create(2)),
    Operation::Write(0, 131_072, 9),
    Operation::Snapshot(SnapshotStep::Delete(1)),
    Operation::Truncate(512 << 10),
];

#[test]
fn an_error_at_any_event_leaves_leaks_at_worst() {
    let prototype = prototype();
    let mut failures = 0;
    for event in DebugEvent::ALL.iter().copied() {
        for (once, number) in [
            (true, errno::EIO),
            (false, errno::EIO),
            (true, errno::ENOSPC),
        ] {
            let file = Arc::new(Memory::new(prototype.clone(), CAP));
            let rule = InjectError {
                event,
                state: None,
                io_types: IoTypes::DEFAULT,
                errno: number,
                sector: None,
                once,
                immediately: false,
            };
            let options = BlkdebugOptions {
                filename: String::new(),
                limits: Limits::default(),
                rules: vec![Rule::Inject(rule)],
            };
            let debugged = Blkdebug::new(Arc::clone(&file) as SharedNode, options).unwrap();
            let said = Arc::new(Mutex::new(Vec::new()));
            let lines = Arc::clone(&said);
            let notices = Notices::to(move |line| lines.lock().push(line.to_owned()));
            if let Ok(image) = open_with(Arc::new(debugged), notices) {
                for operation in OPERATIONS {
                    failures += u32::from(operation.apply(image.as_ref()).is_err());
                    let _ = image.flush();
                }
                let _ = image.close();
            } else {
                failures += 1;
            }
            let image = match open(file) {
                Ok(image) => image,
                Err(error) => panic!(
                    "{} once={once}: {error}; {}",
                    event.name(),
                    said.lock().join("\n")
                ),
            };
            let mut findings = String::new();
            let report = image
                .check(Repair::Nothing, &mut |line| findings.push_str(line))
                .unwrap();
            assert_eq!(
                (report.corruptions, report.check_errors),
                (0, 0),
                "{} once={once}: {findings}",
                event.name()
            );
            for operation in [OPERATIONS[0], OPERATIONS[2], OPERATIONS[3]] {
                operation.apply(image.as_ref()).unwrap();
            }
        }
    }
    assert!(failures > 100, "{failures}");
}
