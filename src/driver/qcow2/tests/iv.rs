//! Where IVs come from, on random histories with snapshots: LUKS from the host sector, so that no (key, IV) ever
//! covers two places; legacy AES from the guest sector, so that reuse happens exactly where two layers hold one guest
//! sector in two places. A mutant that takes the guest sector for LUKS must be caught.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use crate::base::iv_sector::SECTOR_SIZE;
use crate::base::{GuestOffset, HostOffset, IvSector};
use crate::crypto::cipher::{Direction, IvObserver, SharedCipher};
use crate::crypto::legacy_aes;
use crate::crypto::secret::Secret;
use crate::driver::encryption::Encryption;
use crate::driver::luks::{LuksCreateOptions, UnlockOptions, open_volume};
use crate::driver::memory::Memory;
use crate::driver::qcow2::create::{Qcow2CreateOptions, Qcow2Encryption, create};
use crate::driver::qcow2::{Qcow2, Qcow2OpenOptions};
use crate::node::{HostFile, Node, SharedNode, SnapshotRequest, ZeroFlags};

pub(super) const CLUSTER: usize = 4096;
const CLUSTERS: usize = 12;
const DISK: usize = CLUSTER * CLUSTERS;
/// VM state lies behind the disk, at a multiple of what one L2 table maps (qcow2 §6).
pub(super) const VM_STATE: u64 = (CLUSTER * CLUSTER / 8) as u64;

#[derive(Clone, Debug)]
enum Step {
    Write {
        offset: usize,
        length: usize,
    },
    Zero {
        offset: usize,
        length: usize,
        unmap: bool,
    },
    Discard {
        cluster: usize,
    },
    VmState {
        position: usize,
        length: usize,
    },
    Snapshot,
    Delete(usize),
    Apply(usize),
    Flush,
}

fn step() -> impl Strategy<Value = Step> {
    let range = (0..DISK, 1..3 * CLUSTER);
    let clip = |(offset, length): (usize, usize)| (offset, length.min(DISK - offset));
    prop_oneof![
        6 => range.clone().prop_map(clip).prop_map(|(offset, length)| Step::Write { offset, length }),
        1 => (range, any::<bool>()).prop_map(move |(range, unmap)| {
            let (offset, length) = clip(range);
            Step::Zero { offset, length, unmap }
        }),
        1 => (0..CLUSTERS).prop_map(|cluster| Step::Discard { cluster }),
        1 => (0..CLUSTER, 1..2 * CLUSTER).prop_map(|(position, length)| Step::VmState { position, length }),
        2 => Just(Step::Snapshot),
        1 => (0_usize..4).prop_map(Step::Delete),
        1 => (0_usize..4).prop_map(Step::Apply),
        1 => Just(Step::Flush),
    ]
}

/// The IVs under which something was encrypted.
#[derive(Default)]
struct Recorder(Mutex<BTreeSet<u64>>);

impl IvObserver for Recorder {
    fn passed(&self, direction: Direction, first: IvSector, sectors: u64) {
        if direction == Direction::Encrypt {
            self.0
                .lock()
                .unwrap()
                .extend(first.number()..first.number() + sectors);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Luks,
    LegacyAes,
    /// LUKS whose IVs wrongly come from the guest sector.
    MutantLuks,
}

/// An image under test with everything needed to judge it.
struct Bench {
    memory: Arc<Memory>,
    image: Arc<Qcow2>,
    cipher: SharedCipher,
    recorder: Arc<Recorder>,
    /// The disk and the VM state as they must read.
    active: Layer,
    snapshots: Vec<(String, Layer)>,
    taken: usize,
    pattern: u8,
}

#[derive(Clone)]
struct Layer {
    disk: Vec<u8>,
    vm_state: Vec<u8>,
}

pub(super) fn be64(bytes: &[u8], offset: usize) -> u64 {
    u64::from_be_bytes(bytes[offset..offset + 8].try_into().unwrap())
}

pub(super) fn be32(bytes: &[u8], offset: usize) -> usize {
    u32::from_be_bytes(bytes[offset..offset + 4].try_into().unwrap()) as usize
}

/// A second, independent walker: the stored clusters below one L1 table, guest offset to host offset.
pub(super) fn stored_clusters(
    bytes: &[u8],
    l1_offset: usize,
    l1_entries: usize,
) -> BTreeMap<u64, u64> {
    const OFFSET_MASK: u64 = 0x00ff_ffff_ffff_fe00;
    let per_table = CLUSTER / 8;
    let mut found = BTreeMap::new();
    for l1_index in 0..l1_entries {
        let l2_offset =
            usize::try_from(be64(bytes, l1_offset + 8 * l1_index) & OFFSET_MASK).unwrap();
        if l2_offset == 0 {
            continue;
        }
        for l2_index in 0..per_table {
            let entry = be64(bytes, l2_offset + 8 * l2_index);
            // Zero clusters may keep an offset, but nothing that is read lies there.
            if entry & OFFSET_MASK != 0 && entry & 1 == 0 {
                found.insert(
                    ((l1_index * per_table + l2_index) * CLUSTER) as u64,
                    entry & OFFSET_MASK,
                );
            }
        }
    }
    found
}

impl Bench {
    fn new(kind: Kind) -> Self {
        let secret = Secret::new(b"open sesame".to_vec());
        let memory = Arc::new(Memory::new(Vec::new(), 1 << 30));
        let file = HostFile::new(Arc::clone(&memory) as SharedNode);
        let luks = LuksCreateOptions {
            iter_time_ms: 0,
            ..LuksCreateOptions::default()
        };
        let options = Qcow2CreateOptions {
            size: DISK as u64,
            cluster_size: CLUSTER as u64,
            encryption: match kind {
                Kind::LegacyAes => Qcow2Encryption::Aes,
                Kind::Luks | Kind::MutantLuks => Qcow2Encryption::Luks(luks),
            },
            ..Qcow2CreateOptions::default()
        };
        create(&file, &options, &|| Ok(secret.clone())).unwrap();
        let recorder = Arc::new(Recorder::default());
        let open = Qcow2OpenOptions {
            writable: true,
            discard_unmap: true,
            key: Some(secret.clone()),
            iv_observer: Some(Arc::clone(&recorder) as Arc<dyn IvObserver>),
            ..Qcow2OpenOptions::default()
        };
        let mut image = Qcow2::open(file, &open).unwrap();
        let cipher = match kind {
            Kind::LegacyAes => legacy_aes(&secret, None).unwrap(),
            Kind::Luks | Kind::MutantLuks => {
                let bytes = memory.snapshot();
                // The crypto header extension is the first in a 4 KiB cluster image (qcow2 §2).
                let header = usize::try_from(be64(&bytes, 112 + 8)).unwrap();
                let read = |offset: u64, buffer: &mut [u8]| {
                    let start = header + usize::try_from(offset).unwrap();
                    buffer.copy_from_slice(&bytes[start..start + buffer.len()]);
                    Ok(())
                };
                open_volume(&read, Some(&secret), &UnlockOptions::default())
                    .unwrap()
                    .cipher
            }
        };
        if kind == Kind::MutantLuks {
            Arc::get_mut(&mut image).unwrap().encryption =
                Some(Encryption::legacy_aes(Arc::clone(&cipher)));
        }
        let active = Layer {
            disk: vec![0; DISK],
            vm_state: vec![0; 3 * CLUSTER],
        };
        Self {
            memory,
            image,
            cipher,
            recorder,
            active,
            snapshots: Vec::new(),
            taken: 0,
            pattern: 0,
        }
    }

    /// Data that differs in every write and every sector.
    fn data(&mut self, length: usize) -> Vec<u8> {
        self.pattern = self.pattern.wrapping_add(1);
        (0..length)
            .map(|i| self.pattern ^ u8::try_from(i / SECTOR_SIZE % 256).unwrap() ^ 0x80)
            .collect()
    }

    fn play(&mut self, step: &Step) {
        match *step {
            Step::Write { offset, length } => {
                let data = self.data(length);
                self.image
                    .write_at(GuestOffset::new(offset as u64), &data)
                    .unwrap();
                self.active.disk[offset..offset + length].copy_from_slice(&data);
            }
            Step::Zero {
                offset,
                length,
                unmap,
            } => {
                let flags = if unmap {
                    ZeroFlags::MAY_UNMAP
                } else {
                    ZeroFlags::empty()
                };
                self.image
                    .write_zeroes(GuestOffset::new(offset as u64), length as u64, flags)
                    .unwrap();
                self.active.disk[offset..offset + length].fill(0);
            }
            Step::Discard { cluster } => {
                let offset = cluster * CLUSTER;
                self.image
                    .discard(GuestOffset::new(offset as u64), CLUSTER as u64)
                    .unwrap();
                self.active.disk[offset..offset + CLUSTER].fill(0);
            }
            Step::VmState { position, length } => {
                let data = self.data(length);
                self.image.write_vm_state(position as u64, &data).unwrap();
                self.active.vm_state[position..position + length].copy_from_slice(&data);
            }
            Step::Snapshot => {
                self.taken += 1;
                let name = format!("s{}", self.taken);
                let request = SnapshotRequest {
                    name: name.clone(),
                    ..SnapshotRequest::default()
                };
                self.image.snapshot_create(&request).unwrap();

                self.snapshots.push((name, self.active.clone()));
            }
            Step::Delete(index) if index < self.snapshots.len() => {
                let (name, _) = self.snapshots.remove(index);
                self.image.snapshot_delete(None, Some(&name)).unwrap();
            }
            Step::Apply(index) if index < self.snapshots.len() => {
                let (name, layer) = self.snapshots[index].clone();
                self.image.snapshot_apply(&name).unwrap();
                self.active = layer;
            }
            Step::Flush => self.image.flush().unwrap(),
            Step::Delete(_) | Step::Apply(_) => {}
        }
    }

    /// Every layer's stored clusters, read from the bytes alone, with what the layer must hold.
    fn layers(&self, bytes: &[u8]) -> Vec<(BTreeMap<u64, u64>, &Layer)> {
        let l1 = usize::try_from(be64(bytes, 40)).unwrap();
        let mut layers = vec![(stored_clusters(bytes, l1, be32(bytes, 36)), &self.active)];
        let mut entry = usize::try_from(be64(bytes, 64)).unwrap();
        for (_, layer) in &self.snapshots {
            let l1 = usize::try_from(be64(bytes, entry)).unwrap();
            layers.push((stored_clusters(bytes, l1, be32(bytes, entry + 8)), layer));
            let names = usize::from(bytes[entry + 12]) * 256
                + usize::from(bytes[entry + 13])
                + usize::from(bytes[entry + 14]) * 256
                + usize::from(bytes[entry + 15]);
            entry = (entry + 40 + be32(bytes, entry + 36) + names).next_multiple_of(8);
        }
        layers
    }

    /// Closes the image and judges its bytes. `Err` says what is wrong with the IVs.
    fn judge(&self, kind: Kind) -> Result<(), String> {
        self.image.close().unwrap();
        let bytes = self.memory.snapshot();
        let mut places: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        let mut versions: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        let mut sectors = Sectors::default();
        for (clusters, layer) in self.layers(&bytes) {
            for (guest, host) in clusters {
                let iv = match kind {
                    Kind::LegacyAes => IvSector::from_guest(GuestOffset::new(guest)),
                    Kind::Luks | Kind::MutantLuks => IvSector::from_host(HostOffset::new(host)),
                };
                let start = usize::try_from(host).unwrap();
                let mut cluster = bytes[start..]
                    .iter()
                    .copied()
                    .take(CLUSTER)
                    .collect::<Vec<_>>();
                cluster.resize(CLUSTER, 0);
                self.cipher.decrypt(iv, &mut cluster);
                let expected = expected_cluster(layer, guest);
                if expected.len() > CLUSTER || cluster[..expected.len()] != *expected {
                    return Err(format!(
                        "guest {guest:#x} at host {host:#x} is not encrypted under sector {iv:?}"
                    ));
                }
                sectors.add(guest, &bytes, start, &cluster);
                places.entry(iv.number()).or_default().insert(host);
                versions.entry(guest).or_default().insert(host);
            }
        }
        let recorded = self.recorder.0.lock().unwrap();
        if let Some(missing) = places.keys().find(|iv| !recorded.contains(iv)) {
            return Err(format!("sector {missing} was never seen at the door"));
        }
        let reused = places.values().filter(|hosts| hosts.len() > 1).count();
        let in_two_places = versions.values().filter(|hosts| hosts.len() > 1).count();
        if kind == Kind::LegacyAes {
            sectors.judge()?;
        }
        match kind {
            Kind::LegacyAes if reused != in_two_places => Err(format!(
                "{reused} sectors reused, {in_two_places} guest clusters in two places"
            )),
            Kind::Luks | Kind::MutantLuks if reused != 0 => {
                Err(format!("{reused} sectors cover two places"))
            }
            _ => Ok(()),
        }
    }
}

/// The versions of each guest sector over all live layers: as stored, and in clear.
#[derive(Default)]
struct Sectors {
    stored: BTreeMap<u64, BTreeSet<Vec<u8>>>,
    clear: BTreeMap<u64, BTreeSet<Vec<u8>>>,
}

impl Sectors {
    fn add(&mut self, guest: u64, file: &[u8], start: usize, clear: &[u8]) {
        let first = guest / SECTOR_SIZE as u64;
        let stored = file[start..].chunks(SECTOR_SIZE);
        for (number, (stored, clear)) in (first..).zip(stored.zip(clear.chunks(SECTOR_SIZE))) {
            self.stored
                .entry(number)
                .or_default()
                .insert(stored.to_vec());
            self.clear.entry(number).or_default().insert(clear.to_vec());
        }
    }

    /// One IV covers two texts exactly where two layers hold different versions of a guest sector.
    fn judge(&self) -> Result<(), String> {
        let several = |map: &BTreeMap<u64, BTreeSet<Vec<u8>>>| {
            let number = |(number, set): (&u64, &BTreeSet<_>)| (set.len() > 1).then_some(*number);
            map.iter().filter_map(number).collect::<BTreeSet<u64>>()
        };
        let (reused, differing) = (several(&self.stored), several(&self.clear));
        if reused == differing {
            return Ok(());
        }
        Err(format!(
            "IVs of sectors {reused:?} cover several texts, sectors {differing:?} have several versions"
        ))
    }
}

/// What a layer must hold in the guest cluster at `guest`: disk or VM state.
fn expected_cluster(layer: &Layer, guest: u64) -> &[u8] {
    let (bytes, start) = if guest < VM_STATE {
        (&layer.disk, guest)
    } else {
        (&layer.vm_state, guest - VM_STATE)
    };
    let start = usize::try_from(start).unwrap();
    &bytes[start..(start + CLUSTER).min(bytes.len())]
}

fn judge_history(kind: Kind, steps: &[Step]) -> Result<(), String> {
    let mut bench = Bench::new(kind);
    for step in steps {
        bench.play(step);
    }
    bench.judge(kind)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn under_luks_no_iv_covers_two_places(steps in prop::collection::vec(step(), 1..30)) {
        judge_history(Kind::Luks, &steps).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn legacy_aes_reuses_ivs_exactly_where_layers_differ(steps in prop::collection::vec(step(), 1..30)) {
        judge_history(Kind::LegacyAes, &steps).map_err(TestCaseError::fail)?;
    }
}

const ONE_REWRITE: [Step; 3] = [
    Step::Write {
        offset: 0,
        length: CLUSTER,
    },
    Step::Snapshot,
    Step::Write {
        offset: 512,
        length: 512,
    },
];

#[test]
fn legacy_aes_does_reuse_an_iv_across_a_snapshot() {
    let mut bench = Bench::new(Kind::LegacyAes);
    for step in &ONE_REWRITE {
        bench.play(step);
    }
    bench.image.close().unwrap();
    let bytes = bench.memory.snapshot();
    let layers = bench.layers(&bytes);
    let (active, snapshot) = (layers[0].0[&0], layers[1].0[&0]);
    assert_ne!(active, snapshot, "the rewrite must have been copied");
    // The unchanged sector: one ciphertext in two places, seen without the key (iv-domains §6.1).
    let at = |host: u64| &bytes[usize::try_from(host).unwrap()..][..512];
    assert_eq!(at(active), at(snapshot));
}

#[test]
fn the_mutant_that_takes_the_guest_sector_is_caught() {
    let verdict = judge_history(Kind::MutantLuks, &ONE_REWRITE);
    assert!(verdict.is_err_and(|why| why.contains("is not encrypted under sector")));
    assert_eq!(judge_history(Kind::Luks, &ONE_REWRITE), Ok(()));
}

#[test]
fn any_part_of_an_encrypted_cluster_can_be_read() {
    let file: SharedNode = Arc::new(Memory::new(Vec::new(), 1 << 24));
    let options = Qcow2CreateOptions {
        size: DISK as u64,
        cluster_size: CLUSTER as u64,
        encryption: Qcow2Encryption::Aes,
        ..Qcow2CreateOptions::default()
    };
    let secret = || Secret::new(b"open sesame".to_vec());
    create(
        &HostFile::new(Arc::clone(&file)),
        &options,
        &|| Ok(secret()),
    )
    .unwrap();
    let options = Qcow2OpenOptions {
        writable: true,
        key: Some(secret()),
        ..Qcow2OpenOptions::default()
    };
    let image = Qcow2::open(HostFile::new(file), &options).unwrap();
    let disk: Vec<u8> = (0..=250).cycle().take(2 * CLUSTER).collect();
    image.write_at(GuestOffset::ZERO, &disk).unwrap();
    for (start, end) in [
        (100, 200),
        (0, 700),
        (512, 1000),
        (700, 1536),
        (1, 8191),
        (4000, 4200),
    ] {
        let mut part = vec![0; end - start];
        image
            .read_at(GuestOffset::new(start as u64), &mut part)
            .unwrap();
        assert_eq!(part, disk[start..end], "{start}..{end}");
    }
}
