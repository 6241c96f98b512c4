//! What is played: short sequences of operations on small images of each kind.

use std::sync::{Arc, Mutex};

use crate::base::{GuestOffset, IvSector};
use crate::crypto::cipher::{Direction, IvObserver};
use crate::crypto::secret::Secret;
use crate::crypto::{CipherAlgorithm, CipherMode};
use crate::driver::encryption::Encryption;
use crate::driver::luks::LuksCreateOptions;
use crate::driver::memory::Memory;
use crate::driver::qcow2::create::{Qcow2CreateOptions, Qcow2Encryption, create};
use crate::driver::qcow2::testing::{Operation, SnapshotStep};
use crate::driver::qcow2::{Qcow2, Qcow2OpenOptions};
use crate::driver::recorder::{Event, Recorder};
use crate::node::{HostFile, Node, SharedNode};

/// Kinds of image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Configuration {
    V2,
    V3,
    Lazy,
    Extended,
    Aes,
    Luks,
}

/// Clusters of the disk at first.
const CLUSTERS: u64 = 12;
const CAP: u64 = 64 << 20;

fn secret() -> Secret {
    Secret::new(b"open sesame".to_vec())
}

impl Configuration {
    pub const ALL: [Self; 6] = [
        Self::V2,
        Self::V3,
        Self::Lazy,
        Self::Extended,
        Self::Aes,
        Self::Luks,
    ];

    /// Clusters of the disk: more where they are small.
    const fn clusters(self) -> u64 {
        if self.cluster() == 512 { 64 } else { CLUSTERS }
    }

    const fn cluster(self) -> u64 {
        match self {
            Self::V2 | Self::V3 | Self::Lazy | Self::Aes => 512,
            Self::Luks => 4096,
            Self::Extended => 16384,
        }
    }

    /// The operations, with the data that step number `step` writes. `Reopen` is [`Operation::VmState`] of nothing.
    pub fn operations(self, step: usize) -> Vec<Operation> {
        let c = self.cluster();
        let number = step as u64 + 2;
        let pattern = u8::try_from(0x40 + step).unwrap();
        vec![
            Operation::Write(0, 2 * c, pattern),
            Operation::Write(8 * c, 2 * c, pattern),
            Operation::Write(c + 100, 200, pattern),
            Operation::Write(4 * c + 100, c / 2, pattern),
            Operation::Compressed(6 * c, c, pattern),
            Operation::Zero(c, c),
            Operation::ZeroUnmap(0, 2 * c),
            Operation::Discard(c, 4 * c),
            Operation::Snapshot(SnapshotStep::Create(number)),
            Operation::Snapshot(SnapshotStep::Delete(1)),
            Operation::Snapshot(SnapshotStep::Apply(1)),
            Operation::Truncate(80 * c),
            Operation::Truncate(6 * c),
            Operation::Flush,
            REOPEN,
        ]
    }

    fn create_options(self) -> Qcow2CreateOptions {
        Qcow2CreateOptions {
            size: self.clusters() * self.cluster(),
            version: if self == Self::V2 { 2 } else { 3 },
            cluster_size: self.cluster(),
            // Wide counts fill a refcount block soon.
            refcount_bits: if matches!(self, Self::V3 | Self::Lazy | Self::Aes) {
                64
            } else {
                16
            },
            lazy_refcounts: self == Self::Lazy,
            extended_l2: self == Self::Extended,
            encryption: match self {
                Self::Aes => Qcow2Encryption::Aes,
                Self::Luks => Qcow2Encryption::Luks(LuksCreateOptions {
                    cipher_algorithm: CipherAlgorithm::Aes128,
                    cipher_mode: CipherMode::Cbc,
                    iter_time_ms: 0,
                    ..LuksCreateOptions::default()
                }),
                _ => Qcow2Encryption::None,
            },
            ..Qcow2CreateOptions::default()
        }
    }
}

/// Close, and open again.
pub const REOPEN: Operation = Operation::VmState(0, 0, 0);

/// The disk, and the snapshots by their numbers.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Layers {
    pub disk: Vec<u8>,
    pub snapshots: Vec<(u64, Vec<u8>)>,
}

impl Layers {
    /// What an operation that succeeds makes of a flat disk.
    pub fn apply(&mut self, operation: Operation) {
        let mut fill = |offset: u64, length: u64, byte| {
            let range = usize::try_from(offset).unwrap()..usize::try_from(offset + length).unwrap();
            if let Some(bytes) = self.disk.get_mut(range) {
                bytes.fill(byte);
            }
        };
        match operation {
            Operation::Write(offset, length, pattern)
            | Operation::Compressed(offset, length, pattern) => fill(offset, length, pattern),
            Operation::Zero(offset, length)
            | Operation::ZeroUnmap(offset, length)
            | Operation::Discard(offset, length) => fill(offset, length, 0),
            Operation::Truncate(length) => self.disk.resize(usize::try_from(length).unwrap(), 0),
            Operation::Snapshot(SnapshotStep::Create(number)) => {
                self.snapshots.push((number, self.disk.clone()));
            }
            Operation::Snapshot(SnapshotStep::Apply(number)) => {
                let of = |(other, _): &&(u64, _)| *other == number;
                if let Some((_, disk)) = self.snapshots.iter().find(of) {
                    self.disk.clone_from(disk);
                }
            }
            Operation::Snapshot(SnapshotStep::Delete(number)) => {
                self.snapshots.retain(|(other, _)| *other != number);
            }
            Operation::Flush | Operation::VmState(..) => {}
        }
    }
}

/// An image of a kind with some of everything in it, and how to open it.
pub struct Start {
    pub configuration: Configuration,
    pub bytes: Vec<u8>,
    pub layers: Layers,
    /// LUKS: opened once, as deriving the key takes long.
    encryption: Option<Encryption>,
}

impl Start {
    pub fn new(configuration: Configuration) -> Self {
        let file = Arc::new(Memory::new(Vec::new(), CAP));
        let host = HostFile::new(Arc::clone(&file) as SharedNode);
        let options = configuration.create_options();
        create(&host, &options, &|| Ok(secret())).unwrap();
        let disk = vec![0; usize::try_from(options.size).unwrap()];
        let mut start = Self {
            configuration,
            bytes: Vec::new(),
            layers: Layers {
                disk,
                snapshots: Vec::new(),
            },
            encryption: None,
        };
        if configuration == Configuration::Luks {
            let options = Qcow2OpenOptions {
                key: Some(secret()),
                ..Qcow2OpenOptions::default()
            };
            start
                .encryption
                .clone_from(&Qcow2::open(host, &options).unwrap().encryption);
        }
        let image = start
            .open(Arc::clone(&file) as SharedNode, true, None)
            .unwrap();
        let c = configuration.cluster();
        let mut operations = vec![
            Operation::Write(0, 4 * c, 1),
            Operation::Compressed(4 * c, c, 2),
            Operation::Zero(5 * c, c),
            Operation::Snapshot(SnapshotStep::Create(1)),
            Operation::Write(c, c, 3),
        ];
        if configuration.clusters() > CLUSTERS {
            // Up to the end of the first refcount block's reach: the next allocations need a second one.
            operations.push(Operation::Write(16 * c, 48 * c, 4));
        }
        for operation in operations {
            operation.apply(image.as_ref()).unwrap();
            start.layers.apply(operation);
        }
        image.close().unwrap();
        start.bytes = file.snapshot();
        start
    }

    /// Opens an image of this kind.
    pub fn open(
        &self,
        file: SharedNode,
        writable: bool,
        observer: Option<Arc<dyn IvObserver>>,
    ) -> Result<Arc<Qcow2>, String> {
        let luks = self.configuration == Configuration::Luks;
        let key = (self.configuration == Configuration::Aes).then(secret);
        let observed = luks && observer.is_some();
        let options = Qcow2OpenOptions {
            writable,
            discard_unmap: true,
            no_io: luks && !observed,
            key: if observed { Some(secret()) } else { key },
            iv_observer: observer,
            ..Qcow2OpenOptions::default()
        };
        let image = Qcow2::open(HostFile::new(file), &options);
        let mut image = image.map_err(|error| format!("open: {error}"))?;
        if luks && !observed {
            Arc::get_mut(&mut image)
                .unwrap()
                .encryption
                .clone_from(&self.encryption);
        }
        Ok(image)
    }
}

/// What was written, and what the disk was after each operation.
pub struct History {
    pub start: Vec<u8>,
    pub events: Vec<Event>,
    /// What each event was announced as.
    pub labels: Vec<(usize, &'static str)>,
    /// Events so far, the layers, whether everything before is durable now.
    pub steps: Vec<(usize, Layers, bool)>,
    /// Bytes of the disk when it was shortest: a resize may zero what it drops before the length has changed.
    pub shortest: usize,
}

impl History {
    pub fn is_flush(&self, event: usize) -> bool {
        matches!(self.events.get(event), Some(Event::Flush))
    }

    /// The last flush of a step after which everything is durable.
    pub fn is_asked_for(&self, flush: usize) -> bool {
        let ends = |(events, _, durable): &(usize, Layers, bool)| *durable && *events == flush + 1;
        self.steps.iter().any(ends)
    }
}

/// The sectors that were encrypted.
#[derive(Default)]
struct Encrypted(Mutex<Vec<(u64, u64)>>);

impl IvObserver for Encrypted {
    fn passed(&self, direction: Direction, first: IvSector, sectors: u64) {
        if direction == Direction::Encrypt {
            self.0.lock().unwrap().push((first.number(), sectors));
        }
    }
}

/// Whether an operation may be refused: a cluster that holds something takes no compressed data, a snapshot may be
/// gone, the disk may be too short, and version 2 resizes nothing that has snapshots.
pub fn may_be_refused(operation: Operation, start: &Start, layers: &Layers) -> bool {
    let v2 = start.configuration == Configuration::V2;
    let known = |number| layers.snapshots.iter().any(|(other, _)| *other == number);
    match operation {
        Operation::Compressed(offset, length, _) | Operation::Write(offset, length, _)
            if offset + length > layers.disk.len() as u64 =>
        {
            true
        }
        Operation::Discard(offset, _) => offset >= layers.disk.len() as u64,
        Operation::Compressed(..) => true,
        Operation::Truncate(_) => v2 && !layers.snapshots.is_empty(),
        Operation::Snapshot(SnapshotStep::Apply(number) | SnapshotStep::Delete(number)) => {
            !known(number)
        }
        _ => false,
    }
}

/// Plays a workload, then closes the image.
pub fn play(start: &Start, operations: &[Operation]) -> Result<History, String> {
    let recorder = Arc::new(Recorder::new(start.bytes.clone()));
    let encrypted = Arc::new(Encrypted::default());
    // Only LUKS has IVs that name places in this file.
    let observer = (start.configuration == Configuration::Luks)
        .then(|| Arc::clone(&encrypted) as Arc<dyn IvObserver>);
    let open = || start.open(Arc::clone(&recorder) as SharedNode, true, observer.clone());
    let mut image = open()?;
    let mut layers = start.layers.clone();
    let mut steps = vec![(0, layers.clone(), true)];
    let mut shortest = layers.disk.len();
    for &operation in operations {
        let at = |why: String| format!("{operation:?}: {why}");
        let done = if operation == REOPEN {
            image.close().map_err(|error| at(error.to_string()))?;
            image = open()?;
            Ok(())
        } else {
            operation.apply(image.as_ref())
        };
        match done {
            Ok(()) => layers.apply(operation),
            Err(_) if may_be_refused(operation, start, &layers) => {}
            Err(error) => return Err(at(error.to_string())),
        }
        let mut disk = vec![0xee; usize::try_from(image.length().unwrap()).unwrap()];
        image
            .read_at(GuestOffset::ZERO, &mut disk)
            .map_err(|error| at(error.to_string()))?;
        if disk != layers.disk {
            return Err(at("the disk is not what a flat one would be".to_owned()));
        }
        shortest = shortest.min(disk.len());
        let durable = operation == Operation::Flush || operation == REOPEN;
        steps.push((recorder.events.lock().len(), layers.clone(), durable));
    }
    image.close().map_err(|error| format!("close: {error}"))?;
    let events = recorder.events.lock().clone();
    steps.push((events.len(), layers, true));
    ivs_are_places(&events, &encrypted.0.lock().unwrap())?;
    let labels = recorder.labels.lock().clone();
    Ok(History {
        start: start.bytes.clone(),
        events,
        labels,
        steps,
        shortest,
    })
}

/// Every sector was encrypted for the place at which it was written: whatever a crash leaves behind, leaked clusters
/// too, no (key, IV) can cover two places.
fn ivs_are_places(events: &[Event], encrypted: &[(u64, u64)]) -> Result<(), String> {
    let written = |(sector, count): (u64, u64)| {
        events.iter().any(|event| match event {
            Event::Write(offset, bytes) => {
                offset.bytes() == sector * 512 && bytes.len() as u64 == count * 512
            }
            _ => false,
        })
    };
    match encrypted.iter().find(|run| !written(**run)) {
        Some(run) => Err(format!("encrypted for sector {}, written elsewhere", run.0)),
        None => Ok(()),
    }
}
