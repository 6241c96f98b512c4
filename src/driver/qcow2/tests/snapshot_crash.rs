//! A crash in the middle of a snapshot operation: the disk is as before or as after, every snapshot keeps its bytes,
//! no count is too low, and a repair leaves nothing to complain about.

use std::sync::Arc;

use super::super::create::{Qcow2CreateOptions, create};
use super::super::{Qcow2, Qcow2OpenOptions};
use super::Dice;
use crate::base::GuestOffset;
use crate::driver::memory::Memory;
use crate::driver::recorder::{Event, Recorder};
use crate::node::{HostFile, Node, Repair, SnapshotRequest};

const CLUSTER: u64 = 512;
const CLUSTERS: u64 = 200;

fn content(image: &Qcow2) -> Vec<u8> {
    let mut disk = vec![0; usize::try_from(image.length().unwrap()).unwrap()];
    image.read_at(GuestOffset::ZERO, &mut disk).unwrap();
    disk
}

/// The active disk, and each snapshot by its id.
fn contents(file: &Arc<Memory>) -> (Vec<u8>, Vec<(String, Vec<u8>)>) {
    let open = || {
        let file = HostFile::new(file.clone());
        Qcow2::open(file, &Qcow2OpenOptions::default()).unwrap()
    };
    let image = open();
    let of_snapshot = |id: &str| {
        let image = open();
        image.snapshot_load(Some(id), None).unwrap();
        (id.to_owned(), content(&image))
    };
    let snapshots = image.snapshots().unwrap();
    let snapshots = snapshots.iter().map(|s| of_snapshot(&s.id)).collect();
    (content(&image), snapshots)
}

fn write_somewhere(image: &Qcow2, dice: &mut Dice) {
    for _ in 0..8 {
        let first = dice.roll(CLUSTERS);
        let count = (1 + dice.roll(20)).min(CLUSTERS - first);
        let pattern = u8::try_from(1 + dice.roll(250)).unwrap();
        let data = vec![pattern; usize::try_from(count * CLUSTER).unwrap()];
        let offset = GuestOffset::new(first * CLUSTER);
        if dice.roll(4) == 0 {
            let one = &data[..usize::try_from(CLUSTER).unwrap()];
            // Refused where something is: one pattern more or less does not matter.
            let _ = image.write_compressed(offset, one);
        } else {
            image.write_at(offset, &data).unwrap();
        }
    }
}

/// One snapshot operation, on whatever snapshots there are.
fn operate(image: &Qcow2, dice: &mut Dice) -> String {
    let snapshots = image.snapshots().unwrap();
    let picked = snapshots.get(usize::try_from(dice.roll(4)).unwrap());
    match (picked, dice.roll(2)) {
        (None, _) => {
            let request = SnapshotRequest {
                name: format!("s{}", dice.roll(100)),
                ..SnapshotRequest::default()
            };
            image.snapshot_create(&request).unwrap();
            "create".to_owned()
        }
        (Some(snapshot), 0) => {
            image.snapshot_apply(&snapshot.id).unwrap();
            format!("apply {}", snapshot.id)
        }
        (Some(snapshot), _) => {
            image.snapshot_delete(Some(&snapshot.id), None).unwrap();
            format!("delete {}", snapshot.id)
        }
    }
}

/// The file after a crash: everything up to the last flush, and of the rest a prefix or any subset.
fn crashed(start: &[u8], issued: &[Event], subset: bool, dice: &mut Dice) -> Arc<Memory> {
    let file = Memory::new(start.to_vec(), 1 << 30);
    let durable = issued
        .iter()
        .rposition(|event| matches!(event, Event::Flush))
        .map_or(0, |last| last + 1);
    for (index, event) in issued.iter().enumerate() {
        if index < durable || !subset || dice.roll(2) == 0 {
            event.replay(&file);
        }
    }
    Arc::new(file)
}

fn check(file: &Arc<Memory>, repair: Repair) -> Vec<String> {
    let options = Qcow2OpenOptions {
        check: true,
        writable: repair != Repair::Nothing,
        ..Qcow2OpenOptions::default()
    };
    let image = Qcow2::open(HostFile::new(file.clone()), &options).unwrap();
    let mut lines = Vec::new();
    image
        .check(repair, &mut |line| lines.push(line.to_owned()))
        .unwrap();
    image.close().unwrap();
    lines
}

#[test]
fn snapshots_survive_a_crash() {
    let (first, count) = super::seeds(6);
    for seed in first..first + count {
        let mut dice = Dice::new(seed);
        let options = Qcow2CreateOptions {
            size: CLUSTER * CLUSTERS,
            cluster_size: CLUSTER,
            refcount_bits: 8 << dice.roll(4),
            ..Qcow2CreateOptions::default()
        };
        let memory = Arc::new(Memory::new(Vec::new(), 1 << 30));
        create(&HostFile::new(memory.clone()), &options, &|| unreachable!()).unwrap();
        let mut bytes = memory.snapshot();
        for round in 0..8 {
            let recorder = Arc::new(Recorder::new(bytes));
            let options = Qcow2OpenOptions {
                writable: true,
                ..Qcow2OpenOptions::default()
            };
            let image = Qcow2::open(HostFile::new(recorder.clone()), &options).unwrap();
            write_somewhere(&image, &mut dice);
            image.flush().unwrap();
            recorder.events.lock().clear();
            let start = recorder.file.snapshot();
            let before = contents(&Arc::new(Memory::new(start.clone(), 1 << 30)));
            let done = operate(&image, &mut dice);
            image.close().unwrap();
            bytes = recorder.file.snapshot();
            let after = contents(&Arc::new(Memory::new(bytes.clone(), 1 << 30)));
            let events = recorder.events.lock().clone();
            for happened in 0..=events.len() {
                let what = format!("seed {seed}, round {round}, {done}, {happened} events");
                let subset = happened % 2 == 1;
                let file = crashed(&start, &events[..happened], subset, &mut dice);
                assert_survived(&file, &before, &after, &what);
            }
        }
    }
}

type Contents = (Vec<u8>, Vec<(String, Vec<u8>)>);

fn assert_survived(file: &Arc<Memory>, before: &Contents, after: &Contents, what: &str) {
    let assert_contents = || {
        let (disk, snapshots) = contents(file);
        assert!(disk == before.0 || disk == after.0, "{what}: the disk");
        for snapshot in &snapshots {
            let known = before.1.contains(snapshot) || after.1.contains(snapshot);
            assert!(known, "{what}: snapshot {}", snapshot.0);
        }
        for snapshot in &before.1 {
            let kept = !after.1.contains(snapshot) || snapshots.contains(snapshot);
            assert!(kept, "{what}: snapshot {} is gone", snapshot.0);
        }
    };
    assert_contents();
    for line in check(file, Repair::Nothing) {
        // Flags and counts can't change at once: a flag may be behind, as with the real tool.
        let harmless = line.starts_with("Leaked") || line.contains("OFLAG_COPIED");
        assert!(harmless, "{what}: {line}");
    }
    check(file, Repair::All);
    assert_eq!(
        check(file, Repair::Nothing),
        [""; 0],
        "{what}: after the repair"
    );
    assert_contents();
}
