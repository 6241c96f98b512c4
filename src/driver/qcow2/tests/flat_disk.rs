//! Random operations against a flat vector; then the real tool reads the result and finds nothing wrong.

use std::sync::Arc;

use super::super::create::{Qcow2CreateOptions, Qcow2Encryption, create};
use super::super::testing::{real_tools, tool};
use super::super::{Qcow2, Qcow2OpenOptions};
use super::Dice;
use crate::base::GuestOffset;
use crate::crypto::secret::Secret;
use crate::driver::luks::create_options::LuksCreateOptions;
use crate::driver::memory::Memory;
use crate::format::qcow2::header::CompressionType;
use crate::node::{HostFile, Node, Preallocation, SnapshotRequest, ZeroFlags};

struct Case {
    options: Qcow2CreateOptions,
    backing: Option<Vec<u8>>,
    operations: u64,
}

fn secret() -> Secret {
    Secret::new(b"pw".to_vec())
}

fn noise(dice: &mut Dice, length: u64) -> Vec<u8> {
    (0..length)
        .map(|_| u8::try_from(dice.roll(256)).unwrap())
        .collect()
}

fn random_case(dice: &mut Dice) -> Case {
    let cluster_size = 512 << [0, 0, 1, 3, 7][usize::try_from(dice.roll(5)).unwrap()];
    let version = if dice.roll(4) == 0 { 2 } else { 3 };
    let encryption = match dice.roll(4) {
        0 => Qcow2Encryption::Aes,
        1 => Qcow2Encryption::Luks(LuksCreateOptions {
            iter_time_ms: 1,
            ..LuksCreateOptions::default()
        }),
        _ => Qcow2Encryption::None,
    };
    let size = cluster_size * (10 + dice.roll(60)) + dice.roll(cluster_size / 512) * 512;
    let backing = (dice.roll(3) == 0).then(|| {
        let length = dice.roll(size) / 512 * 512;
        noise(dice, length)
    });
    Case {
        options: Qcow2CreateOptions {
            size,
            version,
            cluster_size,
            refcount_bits: if version == 2 { 16 } else { 1 << dice.roll(7) },
            lazy_refcounts: version == 3 && dice.roll(4) == 0,
            compression_type: if version == 3 && dice.roll(2) == 0 {
                CompressionType::Zstd
            } else {
                CompressionType::Zlib
            },
            encryption,
            backing_file: backing.as_ref().map(|_| "b.raw".to_owned()),
            backing_format: backing.as_ref().map(|_| "raw".to_owned()),
            ..Qcow2CreateOptions::default()
        },
        backing,
        operations: 20 + dice.roll(60),
    }
}

fn open(memory: &Arc<Memory>, case: &Case) -> Arc<Qcow2> {
    let options = Qcow2OpenOptions {
        writable: true,
        discard_unmap: true,
        key: Some(secret()),
        ..Qcow2OpenOptions::default()
    };
    let image = Qcow2::open(HostFile::new(memory.clone()), &options).unwrap();
    if let Some(backing) = &case.backing {
        let node = Arc::new(Memory::new(backing.clone(), 1 << 32));
        image.set_backing(Some(node)).unwrap();
    }
    image
}

/// The disk, and what each snapshot holds.
struct Flat {
    disk: Vec<u8>,
    snapshots: Vec<(String, Vec<u8>)>,
    taken: u64,
}

impl Flat {
    /// Takes, applies or deletes a snapshot on both.
    fn snapshot_step(&mut self, dice: &mut Dice, image: &Qcow2) {
        let some = usize::try_from(dice.roll(self.snapshots.len().max(1) as u64)).unwrap();
        match (dice.roll(3), self.snapshots.get(some)) {
            (1, Some((name, disk))) => {
                image.snapshot_apply(name).unwrap();
                self.disk.clone_from(disk);
            }
            (2, Some((name, _))) => {
                image.snapshot_delete(None, Some(name)).unwrap();
                self.snapshots.remove(some);
            }
            _ => {
                self.taken += 1;
                let name = format!("snapshot {}", self.taken);
                let request = SnapshotRequest {
                    name: name.clone(),
                    ..SnapshotRequest::default()
                };
                image.snapshot_create(&request).unwrap();
                self.snapshots.push((name, self.disk.clone()));
            }
        }
    }
}

/// One operation on both; discards that leave the content undefined are not in here.
fn step(dice: &mut Dice, image: &Qcow2, both: &mut Flat, case: &Case) {
    let flat = &mut both.disk;
    let size = flat.len() as u64;
    let cluster = case.options.cluster_size;
    let grain = [1, 512, cluster][usize::try_from(dice.roll(3)).unwrap()];
    let offset = dice.roll(size) / grain * grain;
    let length = ((1 + dice.roll(4 * cluster)).next_multiple_of(grain)).min(size - offset);
    let range = usize::try_from(offset).unwrap()..usize::try_from(offset + length).unwrap();
    let guest = GuestOffset::new(offset);
    match dice.roll(10) {
        0 => {
            let flags = if dice.roll(2) == 0 {
                ZeroFlags::MAY_UNMAP
            } else {
                ZeroFlags::empty()
            };
            image.write_zeroes(guest, length, flags).unwrap();
            flat[range].fill(0);
        }
        1 => {
            let first = offset.next_multiple_of(cluster);
            let end = if offset + length == size {
                size
            } else {
                (offset + length) / cluster * cluster
            };
            image.discard(guest, length).unwrap();
            let kept = case.options.version == 2 && case.backing.is_some();
            if first < end && !kept {
                flat[usize::try_from(first).unwrap()..usize::try_from(end).unwrap()].fill(0);
            }
        }
        2 | 3 => {
            let offset = offset / cluster * cluster;
            let length = cluster.min(size - offset);
            let data =
                vec![u8::try_from(dice.roll(256)).unwrap(); usize::try_from(length).unwrap()];
            // Only clusters that hold nothing take compressed data.
            if image
                .write_compressed(GuestOffset::new(offset), &data)
                .is_ok()
            {
                let start = usize::try_from(offset).unwrap();
                flat[start..start + data.len()].copy_from_slice(&data);
            }
        }
        4 => image.flush().unwrap(),
        5 => {
            let mut data = vec![0; range.len()];
            image.read_at(guest, &mut data).unwrap();
            assert!(data == flat[range], "read {offset}+{length}");
        }
        // Resizing a version 2 image with snapshots is refused.
        6 if dice.roll(4) == 0 && case.options.version >= 3 => {
            let grown = size + dice.roll(cluster * 4) / 512 * 512;
            image.resize(grown, Preallocation::Off).unwrap();
            flat.resize(usize::try_from(grown).unwrap(), 0);
        }
        // With one bit there is no count for a snapshot; with two, a few generations fit.
        7 if dice.roll(2) == 0 && case.options.refcount_bits >= 8 => {
            both.snapshot_step(dice, image);
        }
        _ => {
            let data = noise(dice, length);
            image.write_at(guest, &data).unwrap();
            flat[range].copy_from_slice(&data);
        }
    }
}

fn real_tool_agrees(memory: &Memory, flat: &Flat, case: &Case) {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("i.qcow2"), memory.snapshot()).unwrap();
    if let Some(backing) = &case.backing {
        std::fs::write(path("b.raw"), backing).unwrap();
    }
    let mut image = format!("driver=qcow2,file.filename={}", path("i.qcow2"));
    if case.options.encryption != Qcow2Encryption::None {
        image += ",encrypt.key-secret=s";
    }
    let object = ["--object", "secret,id=s,data=pw", "--image-opts"];
    let (clean, said) = tool("qemu-img", &[&["check"], &object[..], &[&image]].concat());
    assert!(clean, "{said}");
    let raw = path("out.raw");
    let (converted, said) = tool(
        "qemu-img",
        &[&["convert"], &object[..], &["-O", "raw", &image, &raw]].concat(),
    );
    assert!(converted, "{said}");
    assert!(
        std::fs::read(&raw).unwrap() == flat.disk,
        "the real tool reads other bytes"
    );
    if let Some((name, disk)) = flat.snapshots.last() {
        let arguments = [
            &["convert", "-l", name],
            &object[..],
            &["-O", "raw", &image, &raw],
        ];
        let (converted, said) = tool("qemu-img", &arguments.concat());
        assert!(converted, "{said}");
        let read = std::fs::read(&raw).unwrap();
        let common = read.len().min(disk.len());
        assert!(
            read[..common] == disk[..common],
            "the real tool reads another snapshot"
        );
    }
}

fn run(seed: u64, with_real_tools: bool) {
    let mut dice = Dice::new(seed);
    let case = random_case(&mut dice);
    eprintln!(
        "seed {seed}: {:?} backing {:?}",
        case.options,
        case.backing.as_ref().map(Vec::len)
    );
    let memory = Arc::new(Memory::new(Vec::new(), 1 << 32));
    create(&HostFile::new(memory.clone()), &case.options, &|| {
        Ok(secret())
    })
    .unwrap();
    let mut disk = case.backing.clone().unwrap_or_default();
    disk.resize(usize::try_from(case.options.size).unwrap(), 0);
    let mut flat = Flat {
        disk,
        snapshots: Vec::new(),
        taken: 0,
    };
    // Past the backing file's end there are zeros; a fresh LUKS or AES cluster reads as the backing does, too.
    for _ in 0..2 {
        let image = open(&memory, &case);
        for _ in 0..case.operations {
            step(&mut dice, &image, &mut flat, &case);
        }
        image.close().unwrap();
    }
    let image = open(&memory, &case);
    let mut all = vec![0; flat.disk.len()];
    image.read_at(GuestOffset::ZERO, &mut all).unwrap();
    assert!(all == flat.disk, "content differs");
    image.close().unwrap();
    if with_real_tools {
        real_tool_agrees(&memory, &flat, &case);
    }
}

#[test]
fn random_operations() {
    let with_real_tools = real_tools();
    let (first, count) = super::seeds(60);
    for seed in first..first + count {
        run(seed, with_real_tools);
    }
}
