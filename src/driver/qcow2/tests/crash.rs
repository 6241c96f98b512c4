//! A crash between two flushes leaves leaks at worst, and every sector holds what was flushed last or written since.

use std::sync::Arc;

use super::super::create::{Qcow2CreateOptions, create};
use super::super::testing::{Operation, real_tools, tool};
use super::super::{Qcow2, Qcow2OpenOptions};
use super::Dice;
use crate::base::GuestOffset;
use crate::crypto::secret::Secret;
use crate::driver::memory::Memory;
use crate::driver::recorder::{Event, Recorder};
use crate::format::qcow2::header::CompressionType;
use crate::node::{HostFile, Node};

const CLUSTER: u64 = 512;
const CLUSTERS: u64 = 160;

/// What the disk held after each operation, and which events had happened by then.
struct History {
    start: Vec<u8>,
    events: Vec<Event>,
    /// Events so far, the disk's content, whether the operation was a flush.
    steps: Vec<(usize, Vec<u8>, bool)>,
}

fn operation(dice: &mut Dice) -> Operation {
    let first = dice.roll(CLUSTERS);
    let count = (1 + dice.roll(4)).min(CLUSTERS - first);
    let (offset, length) = (first * CLUSTER, count * CLUSTER);
    let pattern = u8::try_from(1 + dice.roll(250)).unwrap();
    match dice.roll(9) {
        0 => Operation::Discard(offset, length),
        1 => Operation::ZeroUnmap(offset, length),
        2 => Operation::Zero(offset, length),
        3 | 4 => Operation::Compressed(offset, CLUSTER, pattern),
        5 => Operation::Flush,
        _ => Operation::Write(offset, length, pattern),
    }
}

fn record(seed: u64) -> History {
    let mut dice = Dice::new(seed);
    let options = Qcow2CreateOptions {
        size: CLUSTER * CLUSTERS,
        cluster_size: CLUSTER,
        refcount_bits: 8 << dice.roll(4),
        compression_type: CompressionType::Zstd,
        ..Qcow2CreateOptions::default()
    };
    let memory = Arc::new(Memory::new(Vec::new(), 1 << 30));
    create(&HostFile::new(memory.clone()), &options, &|| {
        Ok(Secret::new(Vec::new()))
    })
    .unwrap();
    let start = memory.snapshot();
    let recorder = Arc::new(Recorder::new(start.clone()));
    let options = Qcow2OpenOptions {
        writable: true,
        discard_unmap: true,
        ..Qcow2OpenOptions::default()
    };
    let image = Qcow2::open(HostFile::new(recorder.clone()), &options).unwrap();
    let mut steps = vec![(
        0,
        vec![0; usize::try_from(CLUSTER * CLUSTERS).unwrap()],
        true,
    )];
    for _ in 0..30 {
        let operation = operation(&mut dice);
        if operation.apply(&*image).is_err() {
            // A cluster that holds something takes no compressed data.
            assert!(matches!(operation, Operation::Compressed(..)));
        }
        let mut disk = vec![0; usize::try_from(CLUSTER * CLUSTERS).unwrap()];
        image.read_at(GuestOffset::ZERO, &mut disk).unwrap();
        let events = recorder.events.lock().len();
        steps.push((events, disk, operation == Operation::Flush));
    }
    image.close().unwrap();
    let events = recorder.events.lock().clone();
    History {
        start,
        events,
        steps,
    }
}

/// The file after a crash when `happened` events were issued: all up to the last flush, some of the others.
fn crash(history: &History, happened: usize, dice: &mut Dice) -> Arc<Memory> {
    let file = Memory::new(history.start.clone(), 1 << 30);
    let issued = &history.events[..happened];
    let durable = issued
        .iter()
        .rposition(|event| matches!(event, Event::Flush))
        .map_or(0, |last| last + 1);
    let in_order = dice.roll(3) == 0;
    for (index, event) in issued.iter().enumerate() {
        if index < durable || in_order || dice.roll(2) == 0 {
            event.replay(&file);
        }
    }
    Arc::new(file)
}

/// Every sector holds what it held at the last flush or at some step since.
fn assert_content(history: &History, happened: usize, file: &Arc<Memory>, what: &str) {
    let image = Qcow2::open(HostFile::new(file.clone()), &Qcow2OpenOptions::default()).unwrap();
    let flushed = history
        .steps
        .iter()
        .rposition(|(events, _, flush)| *flush && *events <= happened)
        .unwrap();
    let running = history
        .steps
        .iter()
        .position(|(events, ..)| *events >= happened)
        .unwrap_or(history.steps.len() - 1);
    let candidates = &history.steps[flushed..=running.max(flushed)];
    for sector in 0..CLUSTER * CLUSTERS / 512 {
        let start = usize::try_from(sector * 512).unwrap();
        let mut bytes = [0; 512];
        image
            .read_at(GuestOffset::new(sector * 512), &mut bytes)
            .unwrap_or_else(|error| panic!("{what}: sector {sector}: {error}"));
        assert!(
            candidates
                .iter()
                .any(|(_, disk, _)| disk[start..start + 512] == bytes),
            "{what}: sector {sector} holds neither its old nor a newer content: {:?}",
            &bytes[..4]
        );
    }
}

#[test]
fn crashes() {
    if !real_tools() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("crash.qcow2");
    let (first, count) = super::seeds(16);
    for seed in first..first + count {
        let history = record(seed);
        let mut dice = Dice::new(seed ^ 0xcafe);
        for _ in 0..25 {
            let happened = usize::try_from(dice.roll(history.events.len() as u64 + 1)).unwrap();
            let file = crash(&history, happened, &mut dice);
            let what = format!("seed {seed}, crash after {happened} events");
            assert_content(&history, happened, &file, &what);
            std::fs::write(&path, file.snapshot()).unwrap();
            let (_, said) = tool(
                "qemu-img",
                &["check", "-f", "qcow2", path.to_str().unwrap()],
            );
            assert!(!said.contains("ERROR"), "{what}: {said}");
        }
    }
}
