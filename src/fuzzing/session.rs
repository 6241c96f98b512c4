//! Operations on an image in memory against a flat model of its disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{FILE_CAP, file_of};
use crate::base::GuestOffset;
use crate::driver::memory::Memory;
use crate::driver::qcow2::create::{Qcow2CreateOptions, create};
use crate::driver::qcow2::{Qcow2, Qcow2OpenOptions};
use crate::format::qcow2::header::CompressionType;
use crate::node::{HostFile, Node, Preallocation, Repair, SnapshotRequest, ZeroFlags};

/// More operations than this say nothing new.
const OPERATIONS_MAX: usize = 48;
/// Bytes of the disk at first.
const SIZE: u64 = 64 << 10;
/// Longest disk.
const SIZE_MAX: u64 = 256 << 10;
/// How operations name places.
const SECTOR: u64 = 512;

/// An image, what is done to its bytes, and what is done to its disk.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Session {
    /// `9 + cluster_bits % 5` are the header's.
    pub cluster_bits: u8,
    /// Version 2.
    pub old: bool,
    /// `refcount_order % 7` is the header's.
    pub refcount_order: u8,
    /// Refcounts are written late.
    pub lazy: bool,
    /// Compressed clusters are zstd's.
    pub zstd: bool,
    /// Bytes changed before the first operation: place and value. Without any, the model must hold.
    pub damage: Vec<(u16, u8)>,
    /// What is done.
    pub operations: Vec<Operation>,
}

/// One operation; places and lengths are in sectors.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Operation {
    /// Data: start, length, value.
    Write(u8, u8, u8),
    /// Zeros: start, length, whether space may be given back.
    Zero(u8, u8, bool),
    /// Discard: start, length.
    Discard(u8, u8),
    /// One compressed cluster: its number, its value.
    Compress(u8, u8),
    /// A new length.
    Resize(u16),
    /// A snapshot, by number.
    Snapshot(u8),
    /// Back to a snapshot.
    Apply(u8),
    /// A snapshot goes.
    Delete(u8),
    /// Everything to the file.
    Flush,
    /// Close, check, open.
    Reopen,
}

struct Player {
    memory: Arc<Memory>,
    image: Arc<Qcow2>,
    disk: Vec<u8>,
    snapshots: BTreeMap<u8, Vec<u8>>,
    cluster: u64,
    /// The image was damaged: nothing but survival is asked for.
    damaged: bool,
}

fn open(memory: &Arc<Memory>) -> crate::base::Result<Arc<Qcow2>> {
    let options = Qcow2OpenOptions {
        writable: true,
        discard_unmap: true,
        ..Qcow2OpenOptions::default()
    };
    Qcow2::open(HostFile::new(memory.clone()), &options)
}

/// The header claims 65,536 L1 entries or clusters of refcount table, or more: every step would take a second, and
/// `qcow2_read` and `check` look at such images.
fn claims_much(bytes: &[u8]) -> bool {
    [36, 56]
        .into_iter()
        .any(|place| bytes.get(place..place + 2) != Some(&[0, 0]))
}

/// Plays a session.
pub fn qcow2_ops(session: &Session) {
    let cluster = 1 << (9 + session.cluster_bits % 5);
    let options = Qcow2CreateOptions {
        size: SIZE,
        version: if session.old { 2 } else { 3 },
        cluster_size: cluster,
        refcount_bits: if session.old {
            16
        } else {
            1 << (session.refcount_order % 7)
        },
        lazy_refcounts: session.lazy && !session.old,
        compression_type: if session.zstd && !session.old {
            CompressionType::Zstd
        } else {
            CompressionType::Zlib
        },
        ..Qcow2CreateOptions::default()
    };
    let made = Arc::new(Memory::new(Vec::new(), FILE_CAP));
    let key = || Err(crate::base::Error::eio());
    create(&HostFile::new(made.clone()), &options, &key).expect("an image can be created");
    let mut bytes = made.snapshot();
    for (place, value) in &session.damage {
        if let Some(byte) = bytes.get_mut(usize::from(*place)) {
            *byte = *value;
        }
    }
    let damaged = !session.damage.is_empty();
    if damaged && claims_much(&bytes) {
        return;
    }
    let memory = Arc::new(Memory::new(bytes, FILE_CAP));
    let image = match open(&memory) {
        Ok(image) => image,
        Err(error) => {
            assert!(damaged, "a new image does not open: {error}");
            return;
        }
    };
    let size = usize::try_from(SIZE).unwrap_or(usize::MAX);
    let mut player = Player {
        memory,
        image,
        disk: vec![0; size],
        snapshots: BTreeMap::new(),
        cluster,
        damaged,
    };
    for operation in session.operations.iter().take(OPERATIONS_MAX) {
        if player.play(*operation).is_none() {
            return;
        }
    }
    let _ = player.reopen();
}

impl Player {
    /// `None`: the image does not open any more.
    fn play(&mut self, operation: Operation) -> Option<()> {
        match operation {
            Operation::Write(start, length, value) => self.write(start, length, value),
            Operation::Zero(start, length, unmap) => self.zero(start, length, unmap),
            Operation::Discard(start, length) => self.discard(start, length),
            Operation::Compress(index, value) => self.compress(index, value),
            Operation::Resize(sectors) => self.resize(sectors),
            Operation::Snapshot(number) => self.snapshot(number % 4),
            Operation::Apply(number) => self.apply(number % 4),
            Operation::Delete(number) => self.delete(number % 4),
            Operation::Flush => self.must(self.image.flush()),
            Operation::Reopen => return self.reopen(),
        }
        if !self.damaged {
            self.compare();
        }
        Some(())
    }

    fn must(&self, outcome: crate::base::Result<()>) {
        if let Err(error) = outcome {
            assert!(self.damaged, "an undamaged image fails: {error}");
        }
    }

    fn range(&self, start: u8, length: u8) -> std::ops::Range<usize> {
        let end = self.disk.len() as u64;
        let from = (u64::from(start) * SECTOR).min(end);
        let to = (from + u64::from(length % 48) * SECTOR).min(end);
        usize::try_from(from).unwrap_or(0)..usize::try_from(to).unwrap_or(0)
    }

    fn write(&mut self, start: u8, length: u8, value: u8) {
        let range = self.range(start, length);
        let data = vec![value; range.len()];
        self.must(
            self.image
                .write_at(GuestOffset::new(range.start as u64), &data),
        );
        self.disk[range].fill(value);
    }

    fn zero(&mut self, start: u8, length: u8, unmap: bool) {
        let range = self.range(start, length);
        let flags = if unmap {
            ZeroFlags::MAY_UNMAP
        } else {
            ZeroFlags::empty()
        };
        let offset = GuestOffset::new(range.start as u64);
        self.must(self.image.write_zeroes(offset, range.len() as u64, flags));
        self.disk[range].fill(0);
    }

    /// A discarded byte is what it was, or zero.
    fn discard(&mut self, start: u8, length: u8) {
        let range = self.range(start, length);
        let offset = GuestOffset::new(range.start as u64);
        self.must(self.image.discard(offset, range.len() as u64));
        let mut now = vec![0; range.len()];
        self.must(self.image.read_at(offset, &mut now));
        for (known, now) in self.disk[range].iter_mut().zip(now) {
            assert!(
                self.damaged || now == 0 || now == *known,
                "a discard made up data"
            );
            *known = now;
        }
    }

    /// Only the success counts: a cluster that has a place already can't be written compressed.
    fn compress(&mut self, index: u8, value: u8) {
        let start = u64::from(index) * self.cluster;
        let end = (start + self.cluster).min(self.disk.len() as u64);
        if start >= end {
            return;
        }
        let (from, to) = (
            usize::try_from(start).unwrap_or(0),
            usize::try_from(end).unwrap_or(0),
        );
        let data = vec![value; to - from];
        if self
            .image
            .write_compressed(GuestOffset::new(start), &data)
            .is_ok()
        {
            self.disk[from..to].fill(value);
        }
    }

    fn resize(&mut self, sectors: u16) {
        let length = u64::from(sectors) * SECTOR % SIZE_MAX;
        if self.image.resize(length, Preallocation::Off).is_ok() {
            let end = self.disk.len();
            self.disk.resize(usize::try_from(length).unwrap_or(0), 0);
            self.uncover(end);
        }
    }

    /// What lay behind a disk's end in its last cluster shows again when the disk grows: shrinking keeps it, as in the
    /// real tools.
    fn uncover(&mut self, end: usize) {
        let cluster = usize::try_from(self.cluster).unwrap_or(usize::MAX);
        let until = end.next_multiple_of(cluster).min(self.disk.len());
        if let Some(tail) = self.disk.get_mut(end..until) {
            let read = self.image.read_at(GuestOffset::new(end as u64), tail);
            self.must(read);
        }
    }

    fn snapshot(&mut self, number: u8) {
        if self.snapshots.contains_key(&number) {
            return;
        }
        let request = SnapshotRequest {
            name: format!("s{number}"),
            date_seconds: 0,
            date_nanoseconds: 0,
        };
        // One-bit refcounts can't count a shared cluster.
        if self.image.snapshot_create(&request).is_ok() {
            self.snapshots.insert(number, self.disk.clone());
        }
    }

    fn apply(&mut self, number: u8) {
        let applied = self.image.snapshot_apply(&format!("s{number}"));
        if let Some(disk) = self.snapshots.get(&number)
            && applied.is_ok()
        {
            self.disk.clone_from(disk);
        }
    }

    fn delete(&mut self, number: u8) {
        let name = format!("s{number}");
        if self.image.snapshot_delete(None, Some(&name)).is_ok() {
            self.snapshots.remove(&number);
        }
    }

    fn compare(&self) {
        let length = self.image.length().expect("a length");
        assert_eq!(length, self.disk.len() as u64, "the disk's length");
        let mut now = vec![0xa5; self.disk.len()];
        self.must(self.image.read_at(GuestOffset::ZERO, &mut now));
        let wrong = now.iter().zip(&self.disk).position(|(a, b)| a != b);
        assert_eq!(wrong, None, "the disk differs from the model");
    }

    fn reopen(&mut self) -> Option<()> {
        self.must(self.image.close());
        let options = Qcow2OpenOptions {
            check: true,
            ..Qcow2OpenOptions::default()
        };
        if let Ok(image) = Qcow2::open(file_of(&self.memory.snapshot()), &options) {
            let report = image.check(Repair::Nothing, &mut |_| {});
            if !self.damaged {
                let report = report.expect("a check");
                assert_eq!(
                    (report.corruptions, report.leaks),
                    (0, 0),
                    "check complains"
                );
            }
        }
        match open(&self.memory) {
            Ok(image) => self.image = image,
            Err(error) => {
                assert!(self.damaged, "the image does not open again: {error}");
                return None;
            }
        }
        if !self.damaged {
            self.compare();
        }
        Some(())
    }
}
