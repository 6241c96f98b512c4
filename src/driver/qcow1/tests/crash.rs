//! Every crash of every short workload: an image shows for each sector what it held when it was flushed last or what
//! was written since, no two clusters have one place, and it can be used on.

use std::ops::RangeInclusive;

use super::*;
use crate::base::GuestOffset;
use crate::driver::recorder::{Event, Recorder};
use crate::node::{Node, SharedNode};

const SECTOR: u64 = 512;
/// Up to so many writes between two flushes: every subset of them.
const ALL_SUBSETS: usize = 8;
/// Bytes of the disk.
const DISK: u64 = 8 * 4096;
const CAP: u64 = 1 << 24;
const KEY: &str = "open sesame";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Without an L2 table.
    Empty,
    Plain,
    Encrypted,
    /// Over a backing file, with the clusters of one sector that such an image has.
    Overlay,
    /// The same with large clusters: copied in part.
    WideOverlay,
    /// Both.
    EncryptedOverlay,
}

const KINDS: [Kind; 6] = [
    Kind::Empty,
    Kind::Plain,
    Kind::Encrypted,
    Kind::Overlay,
    Kind::WideOverlay,
    Kind::EncryptedOverlay,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Write(u64, u64),
    Compressed(u64),
    Flush,
}

impl Kind {
    const fn cluster(self) -> u64 {
        match self {
            Self::Overlay => SECTOR,
            _ => 4096,
        }
    }

    /// Whole clusters and parts, in order and not; over what there is and where nothing is; compressed to plain and back.
    fn operations(self) -> Vec<Operation> {
        let c = self.cluster();
        vec![
            Operation::Write(0, c),
            Operation::Write(2 * c, 2 * c),
            Operation::Write(5 * c, c),
            Operation::Write(2 * c + 512, 512),
            Operation::Write(c, 512),
            Operation::Write(4 * c, 3584),
            Operation::Write(3 * c - 100, 700),
            Operation::Compressed(c),
            Operation::Compressed(3 * c),
            Operation::Flush,
        ]
    }

    fn key(self) -> Option<&'static str> {
        matches!(self, Self::Encrypted | Self::EncryptedOverlay).then_some(KEY)
    }

    fn backing(self) -> Option<SharedNode> {
        let has_backing = matches!(
            self,
            Self::Overlay | Self::WideOverlay | Self::EncryptedOverlay
        );
        let base = || Arc::new(Memory::new(vec![0x42; 1 << 17], CAP)) as SharedNode;
        has_backing.then(base)
    }

    fn open(self, file: SharedNode) -> Arc<Qcow1> {
        let image = Qcow1::open(HostFile::new(file), options(self.key())).unwrap();
        image.set_backing(self.backing()).unwrap();
        image
    }

    /// An image whose first cluster is written, and the second compressed; and its disk.
    fn start(self) -> (Vec<u8>, Vec<u8>) {
        let c = self.cluster();
        let name = (self == Self::Overlay).then_some("base.raw");
        let file = Arc::new(Memory::new(created(DISK, name, self.key()), CAP));
        let image = self.open(Arc::clone(&file) as SharedNode);
        assert_eq!(image.geometry().cluster_size(), c);
        if self != Self::Empty {
            apply(&image, Operation::Write(0, c), 1).unwrap();
            apply(&image, Operation::Compressed(c), 2).unwrap();
        }
        (file.snapshot(), content(&image))
    }
}

fn apply(image: &Qcow1, operation: Operation, pattern: u8) -> crate::base::Result<()> {
    let bytes = |length| vec![pattern; usize::try_from(length).unwrap()];
    match operation {
        Operation::Write(offset, length) => {
            image.write_at(GuestOffset::new(offset), &bytes(length))
        }
        Operation::Compressed(offset) => {
            let length = image.geometry().cluster_size();
            image.write_compressed(GuestOffset::new(offset), &bytes(length))
        }
        Operation::Flush => image.flush(),
    }
}

fn content(image: &Qcow1) -> Vec<u8> {
    let mut disk = vec![0; usize::try_from(image.length().unwrap()).unwrap()];
    image.read_at(GuestOffset::ZERO, &mut disk).unwrap();
    disk
}

/// What was done to the file, and what the disk held.
struct History {
    kind: Kind,
    start: Vec<u8>,
    events: Vec<Event>,
    labels: Vec<(usize, &'static str)>,
    /// Events so far, the disk's content, whether it is durable.
    steps: Vec<(usize, Vec<u8>, bool)>,
}

fn play(kind: Kind, operations: &[Operation]) -> History {
    let (start, disk) = kind.start();
    let recorder = Arc::new(Recorder::new(start.clone()));
    let image = kind.open(Arc::clone(&recorder) as SharedNode);
    let mut steps = vec![(0, disk, true)];
    for (number, &operation) in operations.iter().enumerate() {
        apply(&image, operation, u8::try_from(0x60 + number).unwrap()).unwrap();
        let events = recorder.events.lock().len();
        steps.push((events, content(&image), operation == Operation::Flush));
    }
    let events = recorder.events.lock().clone();
    let labels = recorder.labels.lock().clone();
    History {
        kind,
        start,
        events,
        labels,
        steps,
    }
}

impl History {
    /// What the write behind a flush was announced as.
    fn orders(&self, flush: usize) -> &'static str {
        let announced = |(at, _): &&(usize, &str)| *at == flush + 1;
        self.labels
            .iter()
            .rev()
            .find(announced)
            .map_or("nothing", |(_, label)| label)
    }

    /// The steps whose content a sector may have when nothing after event `last` was issued.
    fn steps_of(&self, durable: usize, last: usize) -> RangeInclusive<usize> {
        let first = self
            .steps
            .iter()
            .rposition(|(events, _, flushed)| *flushed && *events <= durable)
            .unwrap();
        let running = self.steps.iter().position(|(events, ..)| *events >= last);
        first..=running.unwrap_or(self.steps.len() - 1).max(first)
    }

    /// Calls `each` with the file after every crash and the steps that it may show. Flushes that are `lost` happen for
    /// the image, but not for the disk.
    fn crashes(
        &self,
        lost: &str,
        each: &mut dyn FnMut(Vec<u8>, RangeInclusive<usize>) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut first = 0;
        let durable = Memory::new(self.start.clone(), CAP);
        for end in 0..=self.events.len() {
            let is_flush = matches!(self.events.get(end), Some(Event::Flush));
            if end < self.events.len() && !(is_flush && self.orders(end) != lost) {
                continue;
            }
            let pending: Vec<usize> = (first..end)
                .filter(|&event| !matches!(self.events[event], Event::Flush))
                .collect();
            assert!(pending.len() <= ALL_SUBSETS, "{pending:?}");
            for mask in 0..1_usize << pending.len() {
                let chosen: Vec<usize> = (0..pending.len())
                    .filter(|bit| mask >> bit & 1 == 1)
                    .map(|bit| pending[bit])
                    .collect();
                let issued = chosen.last().map_or(first, |last| last + 1);
                let steps = self.steps_of(first, issued);
                for torn in [false, true] {
                    each(self.file(&durable, &chosen, torn), steps.clone())
                        .map_err(|why| format!("events {chosen:?}, torn: {torn}: {why}"))?;
                }
            }
            for event in pending {
                self.events[event].replay(&durable);
            }
            first = end + 1;
        }
        Ok(())
    }

    /// The file with these events on top of what is durable; of the last write the first half only, when it is torn.
    fn file(&self, durable: &Memory, chosen: &[usize], torn: bool) -> Vec<u8> {
        let file = Memory::new(durable.snapshot(), CAP);
        for (number, &event) in chosen.iter().enumerate() {
            match &self.events[event] {
                Event::Write(offset, bytes) if torn && number + 1 == chosen.len() => {
                    let sector = usize::try_from(SECTOR).unwrap();
                    let before = usize::try_from(offset.bytes() % SECTOR).unwrap();
                    let half = (before + bytes.len() / 2).next_multiple_of(sector) - before;
                    let half = half.min(bytes.len());
                    file.write_at(*offset, &bytes[..half]).unwrap();
                }
                event => event.replay(&file),
            }
        }
        file.snapshot()
    }

    /// What is wrong with a file that a crash left.
    fn judge(&self, bytes: Vec<u8>, steps: RangeInclusive<usize>) -> Result<(), String> {
        let file: SharedNode = Arc::new(Memory::new(bytes, CAP));
        let image = self.kind.open(file);
        let mut disk = vec![0; self.steps[0].1.len()];
        image
            .read_at(GuestOffset::ZERO, &mut disk)
            .map_err(|error| format!("read: {error}"))?;
        let candidates = &self.steps[steps];
        let known = |at: usize| candidates.iter().any(|(_, step, _)| step[at] == disk[at]);
        if let Some(at) = (0..disk.len()).find(|&at| !known(at)) {
            return Err(format!("byte {at} is {:#x}, neither old nor new", disk[at]));
        }
        // Used on: what is written to one cluster shows in no other, and nothing else changes.
        let cluster = self.kind.cluster();
        for (number, offset) in (0..8).map(|number| number * cluster).enumerate() {
            let pattern = u8::try_from(0xa0 + number).unwrap();
            let operation = Operation::Write(offset, SECTOR);
            apply(&image, operation, pattern).map_err(|error| format!("used on: {error}"))?;
            let start = usize::try_from(offset).unwrap();
            disk[start..start + 512].fill(pattern);
        }
        let shown = content(&image);
        let wrong = (0..disk.len()).find(|&at| shown[at] != disk[at]);
        wrong.map_or(Ok(()), |at| Err(format!("used on: byte {at} has changed")))
    }
}

/// All workloads of one and two operations.
fn workloads(kind: Kind) -> Vec<Vec<Operation>> {
    let all = kind.operations();
    let one = all.iter().map(|&first| vec![first]);
    let two = all
        .iter()
        .flat_map(|&first| all.iter().map(move |&second| vec![first, second]));
    one.chain(two).collect()
}

#[test]
fn no_crash_of_a_short_workload_loses_anything() {
    let mut states = 0;
    for kind in KINDS {
        for operations in workloads(kind) {
            let history = play(kind, &operations);
            history
                .crashes("", &mut |bytes, steps| {
                    states += 1;
                    history.judge(bytes, steps)
                })
                .unwrap_or_else(|why| panic!("{kind:?} {operations:?}: {why}"));
        }
    }
    println!("crash states of qcow: {states}");
}

/// The test of the test: each of the three flushes that order writes is missed when it is lost.
#[test]
fn each_flush_that_orders_writes_is_missed_when_it_is_lost() {
    for lost in ["l1_update", "l2_update", "l2_update_compressed"] {
        let missed = KINDS.into_iter().any(|kind| {
            workloads(kind).into_iter().any(|operations| {
                let history = play(kind, &operations);
                history
                    .crashes(lost, &mut |bytes, steps| history.judge(bytes, steps))
                    .is_err()
            })
        });
        assert!(missed, "the flush before {lost}");
    }
}
