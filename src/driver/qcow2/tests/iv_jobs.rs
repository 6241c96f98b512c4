//! Where IVs come from when something else than a guest's write stores data: copy-on-write, VM state, commit, rebase,
//! convert. Each is judged from the file's bytes, and at the door: what was enciphered under a run of host sectors was
//! written there. Each is also played in a mutant whose drivers take the other domain, and must fail there.

use std::sync::{Arc, Mutex};

use super::iv::{CLUSTER, VM_STATE, be32, be64, stored_clusters};
use crate::base::iv_sector::SECTOR_SIZE;
use crate::base::{GuestOffset, HostOffset, IvSector, Result};
use crate::crypto::cipher::{Direction, IvObserver, SharedCipher};
use crate::crypto::legacy_aes;
use crate::crypto::secret::Secret;
use crate::driver::encryption::mutant::in_mutant;
use crate::driver::luks::{LuksCreateOptions, UnlockOptions, open_volume};
use crate::driver::memory::Memory;
use crate::driver::qcow2::create::{Qcow2CreateOptions, Qcow2Encryption, create};
use crate::driver::qcow2::{Qcow2, Qcow2OpenOptions};
use crate::job::commit::{self, Commit};
use crate::job::convert::{self, Conversion, Settings, Unwritten, Zeroes};
use crate::job::progress::Silent;
use crate::job::rebase::{self, Rebase};
use crate::job::sources::Sources;
use crate::node::{Extent, HostFile, Node, Preallocation, SharedNode, SnapshotRequest, ZeroFlags};

const DISK: usize = 8 * CLUSTER;

/// What passed the door, and what was written to the file: first byte and length.
#[derive(Default)]
struct Journal {
    enciphered: Mutex<Vec<(u64, u64)>>,
    written: Mutex<Vec<(u64, u64)>>,
}

impl IvObserver for Journal {
    fn passed(&self, direction: Direction, first: IvSector, sectors: u64) {
        if direction == Direction::Encrypt {
            let sector = SECTOR_SIZE as u64;
            let run = (first.number() * sector, sectors * sector);
            self.enciphered.lock().unwrap().push(run);
        }
    }
}

impl Journal {
    /// Every run that was enciphered was written to the sectors of its IVs.
    fn judge(&self) -> std::result::Result<(), String> {
        let written = self.written.lock().unwrap();
        let enciphered = self.enciphered.lock().unwrap();
        if enciphered.is_empty() {
            return Err("nothing passed the door".to_owned());
        }
        let stray = enciphered.iter().find(|(first, length)| {
            let inside =
                |(start, bytes): &(u64, u64)| start <= first && first + length <= start + bytes;
            !written.iter().any(inside)
        });
        match stray {
            None => Ok(()),
            Some(run) => Err(format!("{run:?} was enciphered, but not written there")),
        }
    }
}

/// A file in memory whose writes are noted.
struct Noted(Arc<Memory>, Arc<Journal>);

impl Node for Noted {
    fn driver(&self) -> &'static str {
        self.0.driver()
    }
    fn filename(&self) -> String {
        "noted:".to_owned()
    }
    fn writable(&self) -> bool {
        true
    }
    fn length(&self) -> Result<u64> {
        self.0.length()
    }
    fn read_at(&self, offset: GuestOffset, buffer: &mut [u8]) -> Result<()> {
        self.0.read_at(offset, buffer)
    }
    fn write_at(&self, offset: GuestOffset, data: &[u8]) -> Result<()> {
        let run = (offset.bytes(), data.len() as u64);
        self.1.written.lock().unwrap().push(run);
        self.0.write_at(offset, data)
    }
    fn write_zeroes(&self, offset: GuestOffset, length: u64, flags: ZeroFlags) -> Result<()> {
        self.0.write_zeroes(offset, length, flags)
    }
    fn flush(&self) -> Result<()> {
        self.0.flush()
    }
    fn resize(&self, length: u64, preallocation: Preallocation) -> Result<()> {
        self.0.resize(length, preallocation)
    }
    fn extent(&self, offset: GuestOffset, length: u64) -> Result<Extent> {
        self.0.extent(offset, length)
    }
    fn close(&self) -> Result<()> {
        self.0.close()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Luks,
    Aes,
}

/// An encrypted image, and what is needed to judge it.
struct Volume {
    kind: Kind,
    memory: Arc<Memory>,
    journal: Arc<Journal>,
    image: Arc<Qcow2>,
    cipher: SharedCipher,
    disk: Vec<u8>,
    vm_state: Vec<u8>,
}

fn noise(length: usize, salt: usize) -> Vec<u8> {
    (0..length)
        .map(|i| u8::try_from((i / 7 + i * salt + salt) % 251).unwrap())
        .collect()
}

fn memory(bytes: Vec<u8>) -> Arc<Memory> {
    Arc::new(Memory::new(bytes, 1 << 30))
}

fn new_image(file: &HostFile, encryption: Qcow2Encryption, key: &Secret) {
    let options = Qcow2CreateOptions {
        size: DISK as u64,
        cluster_size: CLUSTER as u64,
        encryption,
        ..Qcow2CreateOptions::default()
    };
    create(file, &options, &|| Ok(key.clone())).unwrap();
}

impl Volume {
    fn new(kind: Kind, backing: Option<SharedNode>) -> Self {
        let key = Secret::new(b"open sesame".to_vec());
        let memory = memory(Vec::new());
        let journal = Arc::new(Journal::default());
        let file = HostFile::new(Arc::new(Noted(memory.clone(), journal.clone())));
        let encryption = match kind {
            Kind::Aes => Qcow2Encryption::Aes,
            Kind::Luks => Qcow2Encryption::Luks(LuksCreateOptions {
                iter_time_ms: 0,
                ..LuksCreateOptions::default()
            }),
        };
        new_image(&file, encryption, &key);
        let bytes = memory.snapshot();
        let cipher = match kind {
            Kind::Aes => legacy_aes(&key, None).unwrap(),
            Kind::Luks => {
                // The crypto header extension is the first in a 4 KiB cluster image (qcow2 §2).
                let header = usize::try_from(be64(&bytes, 112 + 8)).unwrap();
                let read = |offset: u64, buffer: &mut [u8]| {
                    let start = header + usize::try_from(offset).unwrap();
                    buffer.copy_from_slice(&bytes[start..start + buffer.len()]);
                    Ok(())
                };
                open_volume(&read, Some(&key), &UnlockOptions::default())
                    .unwrap()
                    .cipher
            }
        };
        let open = Qcow2OpenOptions {
            writable: true,
            discard_unmap: true,
            key: Some(key),
            iv_observer: Some(journal.clone()),
            ..Qcow2OpenOptions::default()
        };
        let image = Qcow2::open(file, &open).unwrap();
        let mut disk = vec![0; DISK];
        if let Some(backing) = &backing {
            backing.read_at(GuestOffset::ZERO, &mut disk).unwrap();
        }
        image.set_backing(backing).unwrap();
        Self {
            kind,
            memory,
            journal,
            image,
            cipher,
            disk,
            vm_state: vec![0; 2 * CLUSTER],
        }
    }

    fn node(&self) -> SharedNode {
        self.image.clone()
    }

    fn write(&mut self, offset: usize, data: &[u8]) {
        self.image
            .write_at(GuestOffset::new(offset as u64), data)
            .unwrap();
        self.disk[offset..offset + data.len()].copy_from_slice(data);
    }

    /// Every cluster stored in the active layer is enciphered under the sectors of its domain.
    fn judge(&self) -> std::result::Result<(), String> {
        self.image.close().unwrap();
        let bytes = self.memory.snapshot();
        let l1 = usize::try_from(be64(&bytes, 40)).unwrap();
        let stored = stored_clusters(&bytes, l1, be32(&bytes, 36));
        if stored.is_empty() {
            return Err("nothing is stored".to_owned());
        }
        for (guest, host) in stored {
            let (layer, at) = if guest < VM_STATE {
                (&self.disk, guest)
            } else {
                (&self.vm_state, guest - VM_STATE)
            };
            let (at, start) = (usize::try_from(at).unwrap(), usize::try_from(host).unwrap());
            for part in (0..CLUSTER).step_by(SECTOR_SIZE) {
                let iv = match self.kind {
                    Kind::Aes => IvSector::from_guest(GuestOffset::new(guest + part as u64)),
                    Kind::Luks => IvSector::from_host(HostOffset::new(host + part as u64)),
                };
                let mut sector = bytes[start + part..start + part + SECTOR_SIZE].to_vec();
                self.cipher.decrypt(iv, &mut sector);
                if sector != layer[at + part..at + part + SECTOR_SIZE] {
                    return Err(format!(
                        "guest {guest:#x}+{part} at host {host:#x} is not encrypted under {iv:?}"
                    ));
                }
            }
        }
        match self.kind {
            Kind::Luks => self.journal.judge(),
            Kind::Aes => Ok(()),
        }
    }
}

type Verdict = std::result::Result<(), String>;

/// Head and tail of clusters that a snapshot shares, and of clusters over a backing file.
fn copy_on_write(kind: Kind) -> Verdict {
    let mut volume = Volume::new(kind, Some(memory(noise(DISK, 3))));
    volume.write(CLUSTER, &noise(2 * CLUSTER, 5));
    let request = SnapshotRequest {
        name: "s".to_owned(),
        ..SnapshotRequest::default()
    };
    volume.image.snapshot_create(&request).unwrap();
    volume.write(CLUSTER + 1000, &noise(100, 7));
    volume.write(2 * CLUSTER + 512, &noise(512, 11));
    // Over the backing file, across two clusters.
    volume.write(6 * CLUSTER - 700, &noise(1400, 13));
    volume.judge()
}

fn vm_state(kind: Kind) -> Verdict {
    let mut volume = Volume::new(kind, None);
    let data = noise(CLUSTER + 512, 17);
    volume.image.write_vm_state(512, &data).unwrap();
    volume.vm_state[512..512 + data.len()].copy_from_slice(&data);
    volume.judge()
}

/// A plain layer goes down into an encrypted base.
fn commit_into(kind: Kind) -> Verdict {
    let mut base = Volume::new(kind, None);
    base.write(0, &noise(CLUSTER + 100, 19));
    let file = HostFile::new(memory(Vec::new()));
    new_image(&file, Qcow2Encryption::None, &Secret::new(Vec::new()));
    let open = Qcow2OpenOptions {
        writable: true,
        ..Qcow2OpenOptions::default()
    };
    let top: SharedNode = Qcow2::open(file, &open).unwrap();
    top.set_backing(Some(base.node())).unwrap();
    let data = noise(CLUSTER, 23);
    let at = CLUSTER / 2;
    top.write_at(GuestOffset::new(at as u64), &data).unwrap();
    base.disk[at..at + CLUSTER].copy_from_slice(&data);
    commit::run(&Commit {
        top: &top,
        base: &base.node(),
        empty_top: true,
        workers: 1,
        rate: None,
        progress: &Silent,
    })
    .unwrap();
    base.judge()
}

/// What two bases hold differently is copied into the encrypted layer.
fn rebase_onto(kind: Kind) -> Verdict {
    let mut volume = Volume::new(kind, Some(memory(noise(DISK, 29))));
    volume.write(3 * CLUSTER + 5, &noise(5, 31));
    let mut other = noise(DISK, 29);
    other[CLUSTER..2 * CLUSTER].fill(1);
    other[5 * CLUSTER + 17] ^= 1;
    // Under another name: a rebase takes one name for one file.
    let other: SharedNode = Arc::new(Noted(memory(other), Arc::default()));
    rebase::run(&Rebase {
        top: &volume.node(),
        new_backing: Some(&other),
        compressed: false,
        progress: &Silent,
    })
    .unwrap();
    volume.image.set_backing(Some(other)).unwrap();
    let mut read = vec![0; DISK];
    volume.image.read_at(GuestOffset::ZERO, &mut read).unwrap();
    assert!(read == volume.disk, "a rebase changes no byte");
    volume.judge()
}

fn convert_into(kind: Kind) -> Verdict {
    let mut volume = Volume::new(kind, None);
    volume.disk = noise(DISK, 37);
    volume.disk[2 * CLUSTER..3 * CLUSTER].fill(0);
    let source: SharedNode = memory(volume.disk.clone());
    convert::run(&Conversion {
        sources: &Sources::join(&[source]).unwrap(),
        target: &volume.node(),
        settings: &Settings {
            workers: 1,
            zeroes: Zeroes::Found(4096),
            compressed_cluster: None,
            out_of_order: false,
            unwritten: Unwritten::Zeroes,
            salvage: false,
            verbatim: false,
            rate: None,
        },
        progress: &Silent,
        salvaged: &|_, _, _| {},
    })
    .unwrap();
    volume.judge()
}

/// Passes for both kinds, and fails in the mutant.
fn holds_but_not_in_the_mutant(situation: fn(Kind) -> Verdict) {
    for kind in [Kind::Luks, Kind::Aes] {
        assert_eq!(situation(kind), Ok(()), "{kind:?}");
        let verdict = in_mutant(true, || situation(kind));
        assert!(
            verdict
                .as_ref()
                .is_err_and(|why| why.contains("is not encrypted under")),
            "{kind:?}: the mutant was not caught: {verdict:?}"
        );
    }
}

#[test]
fn copy_on_write_heads_and_tails() {
    holds_but_not_in_the_mutant(copy_on_write);
}

#[test]
fn vm_state_behind_the_disk() {
    holds_but_not_in_the_mutant(vm_state);
}

#[test]
fn commit_into_an_encrypted_base() {
    holds_but_not_in_the_mutant(commit_into);
}

#[test]
fn rebase_of_an_encrypted_layer() {
    holds_but_not_in_the_mutant(rebase_onto);
}

#[test]
fn convert_into_an_encrypted_image() {
    holds_but_not_in_the_mutant(convert_into);
}
