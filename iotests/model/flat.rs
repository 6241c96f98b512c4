//! The model: a flat byte vector with a snapshot map, and what may be done to it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::strategy::Union;
use proptest_state_machine::ReferenceStateMachine;

use crate::configuration::{Base, Configuration, DataFile, Encryption, Format};
use crate::operation::{Fill, Operation, Span};

/// Clusters of VM state that a history may write.
const VM_STATE_CLUSTERS: u64 = 3;

/// A disk with its VM state: the active one or a snapshot's.
#[derive(Clone)]
pub struct Layer {
    pub disk: Vec<u8>,
    /// VM state that was written; the rest is not looked at.
    pub vm_state: Vec<Option<u8>>,
    /// Clusters may lie behind the disk's end.
    has_vm_state: bool,
    /// Behind the disk's end its last cluster may hold something that growing would bring to light.
    stale_tail: bool,
    /// Clusters that may have a place already: a compressed write needs one that has none (errata 56).
    placed: Vec<bool>,
}

/// The model of an image.
#[derive(Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts of an image, each its own"
)]
pub struct Flat {
    pub configuration: Arc<Configuration>,
    pub active: Layer,
    pub snapshots: BTreeMap<u32, Layer>,
    pub bases: [Vec<u8>; 2],
    pub lies_on: Option<Base>,
    next_snapshot: u32,
    compressed: bool,
    counted_twice: bool,
    /// A shrink has dropped VM state.
    pub dropped_vm_state: bool,
    /// The real tool destroys data in such a history (`docs/differences.md`).
    pub real_tool_fails: bool,
}

/// Bytes that a base holds at first: stretches of the pattern with holes between.
pub fn base_stretches(length: u64) -> impl Iterator<Item = Span> {
    (0..length).step_by(7168).map(move |offset| Span {
        offset,
        length: 5120.min(length - offset),
    })
}

fn base_bytes(length: u64) -> Vec<u8> {
    let mut bytes = vec![0; index(length)];
    for span in base_stretches(length) {
        bytes[span.range()].copy_from_slice(&Fill::Pattern.bytes(index(span.length)));
    }
    bytes
}

fn index(value: u64) -> usize {
    usize::try_from(value).expect("a disk that fits into memory")
}

impl fmt::Debug for Flat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.configuration)
    }
}

impl Flat {
    /// The model of a new image.
    pub fn new(configuration: Configuration) -> Self {
        let bases = Base::ALL.map(|base| base_bytes(configuration.base_length(base)));
        let size = index(configuration.size);
        let mut disk = configuration
            .lies_on
            .map_or_else(Vec::new, |base| bases[base.index()].clone());
        disk.resize(size, 0);
        let clusters = configuration.size.div_ceil(configuration.cluster_size);
        Self {
            active: Layer {
                disk,
                vm_state: vec![None; index(VM_STATE_CLUSTERS * configuration.cluster_size)],
                has_vm_state: false,
                stale_tail: false,
                placed: vec![configuration.data_file == DataFile::Raw; index(clusters)],
            },
            snapshots: BTreeMap::new(),
            lies_on: configuration.lies_on,
            bases,
            configuration: Arc::new(configuration),
            next_snapshot: 1,
            compressed: false,
            counted_twice: false,
            dropped_vm_state: false,
            real_tool_fails: false,
        }
    }

    /// Bytes of the disk.
    pub const fn size(&self) -> u64 {
        self.active.disk.len() as u64
    }

    fn cluster(&self) -> u64 {
        self.configuration.cluster_size
    }

    fn is_qcow2(&self) -> bool {
        !matches!(self.configuration.format, Format::Qcow1)
    }

    /// Snapshots and VM state.
    fn keeps_layers(&self) -> bool {
        self.is_qcow2() && self.configuration.data_file == DataFile::None
    }

    /// Where VM state starts (qcow2 §6).
    fn vm_state_start(&self, size: u64) -> u64 {
        let entry = if self.configuration.extended { 16 } else { 8 };
        size.next_multiple_of(self.cluster() * (self.cluster() / entry))
    }

    fn base_length(&self) -> u64 {
        self.lies_on
            .map_or(0, |base| self.bases[base.index()].len() as u64)
    }

    /// The most snapshots that the counts can count; applying one counts once more.
    fn snapshots_max(&self) -> usize {
        match self.configuration.refcount_bits {
            1 => 0,
            2 => 1,
            _ => 5,
        }
    }

    /// Packed clusters and snapshots together overflow narrow counts.
    fn may_pack_and_share(&self) -> bool {
        self.configuration.refcount_bits >= 16
    }

    /// Sets the placed bits of a span's clusters.
    fn place(&mut self, span: Span, placed: bool) {
        let cluster = self.cluster();
        let last = span.end().div_ceil(cluster);
        for bit in &mut self.active.placed[index(span.offset / cluster)..index(last)] {
            *bit = placed;
        }
    }

    /// The whole clusters inside a span; the disk's last, short one counts as whole.
    fn whole_clusters(&self, span: Span) -> Option<Span> {
        let cluster = self.cluster();
        let offset = span.offset.next_multiple_of(cluster);
        let end = if span.end() == self.size() {
            span.end()
        } else {
            span.end() / cluster * cluster
        };
        (offset < end).then(|| Span {
            offset,
            length: end - offset,
        })
    }

    fn zero(&mut self, span: Span, unmap: bool) {
        self.active.disk[span.range()].fill(0);
        let whole = self.whole_clusters(span);
        let kept: Option<Vec<bool>> = whole.map(|whole| {
            let first = index(whole.offset / self.cluster());
            let last = index(whole.end().div_ceil(self.cluster()));
            self.active.placed[first..last].to_vec()
        });
        self.place(span, true);
        let by_entries = match self.configuration.format {
            Format::Qcow1 => false,
            Format::V2 => self.lies_on.is_none(),
            // With subclusters a short last cluster keeps its place, and beside a compressed one all is written.
            Format::V3 => !self.configuration.extended,
        };
        if let (Some(whole), Some(kept), true) = (whole, kept, by_entries) {
            let first = index(whole.offset / self.cluster());
            let drops = unmap || self.configuration.format == Format::V2;
            for (bit, kept) in self.active.placed[first..].iter_mut().zip(kept) {
                *bit = kept && !drops;
            }
        }
    }

    fn discard(&mut self, span: Span) {
        let ignored = match self.configuration.format {
            Format::Qcow1 => true,
            Format::V2 => self.lies_on.is_some(),
            Format::V3 => false,
        };
        if ignored {
            return;
        }
        if let Some(whole) = self.whole_clusters(span) {
            self.active.disk[whole.range()].fill(0);
            self.place(whole, false);
        }
    }

    fn truncate(&mut self, length: u64) {
        let old = self.size();
        let cluster = self.cluster();
        if length < old {
            self.dropped_vm_state |= self.active.has_vm_state;
            self.active.has_vm_state = false;
            self.active.vm_state.fill(None);
            self.active.stale_tail = !length.is_multiple_of(cluster);
        } else if length > old && !old.is_multiple_of(cluster) {
            let last = index(old / cluster);
            self.active.placed[last] = true;
        }
        self.active.disk.resize(index(length), 0);
        let raw = self.configuration.data_file == DataFile::Raw;
        self.active
            .placed
            .resize(index(length.div_ceil(cluster)), raw);
    }

    fn commit(&mut self) {
        if let Some(base) = self.lies_on {
            let below = &mut self.bases[base.index()];
            let disk = &self.active.disk;
            below.resize(below.len().max(disk.len()), 0);
            below[..disk.len()].copy_from_slice(disk);
        }
        self.active.placed.fill(false);
        self.active.vm_state.fill(None);
        self.active.stale_tail = false;
    }

    fn rebase(&mut self, base: Option<Base>) {
        // What the old base has behind the disk's end may have been copied with the last cluster.
        let unaligned = !self.size().is_multiple_of(self.cluster());
        self.active.stale_tail |= unaligned && self.base_length() > self.size();
        self.active.placed.fill(true);
        // Zeros that have to hide the new base are not written.
        let bare_v2 = self.configuration.format == Format::V2 && self.lies_on.is_none();
        self.real_tool_fails |= bare_v2;
        self.lies_on = base;
    }

    fn step(&mut self, operation: Operation) {
        match operation {
            Operation::Write(span, fill) | Operation::Compressed(span, fill) => {
                if matches!(operation, Operation::Compressed(..)) {
                    self.compressed = true;
                    // What lies there already, and later changes where payload is encrypted.
                    let encrypted = self.configuration.encryption != Encryption::None;
                    let placed = self.active.placed[index(span.offset / self.cluster())];
                    self.real_tool_fails |= !self.is_qcow2() && (encrypted || placed);
                }
                self.active.disk[span.range()].copy_from_slice(&fill.bytes(index(span.length)));
                self.place(span, true);
            }
            Operation::Zero { span, unmap } => self.zero(span, unmap),
            Operation::Discard(span) => self.discard(span),
            Operation::Truncate(length) => self.truncate(length),
            Operation::VmState(span, byte) => {
                self.active.has_vm_state = true;
                self.active.vm_state[span.range()].fill(Some(byte));
            }
            Operation::Flush | Operation::Reopen => {}
            Operation::SnapshotCreate(number) => {
                self.snapshots.insert(number, self.active.clone());
                self.next_snapshot = number + 1;
                self.counted_twice = true;
            }
            Operation::SnapshotApply(number) => {
                self.active = self.snapshots[&number].clone();
            }
            Operation::SnapshotDelete(number) => {
                self.snapshots.remove(&number);
            }
            Operation::Commit => self.commit(),
            Operation::Rebase(base) => self.rebase(base),
        }
    }

    fn may_truncate(&self, length: u64) -> bool {
        let old = self.size();
        let refused = match self.configuration.format {
            Format::Qcow1 => true,
            // Version 2 has no zero clusters to hide a longer base with.
            Format::V2 => !self.snapshots.is_empty() || (length > old && self.base_length() > old),
            Format::V3 => false,
        };
        let shows_vm_state = self.active.has_vm_state
            && length > old
            && self.vm_state_start(length) != self.vm_state_start(old);
        let uncovers = length > old && self.active.stale_tail;
        length > 0 && length.is_multiple_of(512) && !refused && !shows_vm_state && !uncovers
    }

    fn may_compress(&self, span: Span) -> bool {
        let cluster = self.cluster();
        let whole = span.offset.is_multiple_of(cluster)
            && span.length == cluster.min(self.size().saturating_sub(span.offset));
        let packed = self.may_pack_and_share() || !self.counted_twice;
        let free = match self.configuration.format {
            Format::Qcow1 => true,
            _ => self
                .active
                .placed
                .get(index(span.offset / cluster))
                .is_some_and(|placed| !placed),
        };
        whole && free && packed && self.configuration.data_file == DataFile::None
    }

    /// Whether the operation has a defined result.
    pub fn allows(&self, operation: Operation) -> bool {
        let inside = |span: Span| span.length > 0 && span.end() <= self.size();
        match operation {
            Operation::Write(span, _) | Operation::Zero { span, .. } | Operation::Discard(span) => {
                inside(span)
            }
            Operation::Compressed(span, _) => inside(span) && self.may_compress(span),
            Operation::Truncate(length) => self.may_truncate(length),
            Operation::VmState(span, _) => {
                self.keeps_layers()
                    && span.length > 0
                    && span.end() <= self.active.vm_state.len() as u64
            }
            Operation::Flush | Operation::Reopen => true,
            Operation::SnapshotCreate(number) => {
                self.keeps_layers()
                    && number >= self.next_snapshot
                    && self.snapshots.len() < self.snapshots_max()
                    && (self.may_pack_and_share() || !self.compressed)
            }
            Operation::SnapshotApply(number) | Operation::SnapshotDelete(number) => {
                self.snapshots.contains_key(&number)
            }
            Operation::Commit => self.lies_on.is_some() && self.snapshots.is_empty(),
            // Snapshots would lie on another base, too.
            Operation::Rebase(base) => {
                self.is_qcow2()
                    && self.snapshots.is_empty()
                    && base != self.lies_on
                    && self.configuration.data_file != DataFile::Raw
            }
        }
    }

    /// A range of the disk: any bytes, sectors, or clusters.
    fn span(&self) -> impl Strategy<Value = Span> + use<> {
        let (size, cluster) = (self.size(), self.cluster());
        let grain = prop_oneof![Just(1), Just(512), Just(cluster)];
        (grain, 0..size, 1..=4 * cluster).prop_map(move |(grain, offset, length)| {
            let offset = offset / grain * grain;
            let length = length.next_multiple_of(grain).min(size - offset);
            Span { offset, length }
        })
    }

    fn changes(&self) -> Vec<(u32, BoxedStrategy<Operation>)> {
        let (size, cluster) = (self.size(), self.cluster());
        let at_cluster = move |number: u64| {
            let offset = number * cluster;
            Span {
                offset,
                length: cluster.min(size - offset),
            }
        };
        vec![
            (
                8,
                (self.span(), fill())
                    .prop_map(|(span, fill)| Operation::Write(span, fill))
                    .boxed(),
            ),
            (
                3,
                (0..size.div_ceil(cluster), fill())
                    .prop_map(move |(number, fill)| Operation::Compressed(at_cluster(number), fill))
                    .boxed(),
            ),
            (
                3,
                (self.span(), any::<bool>())
                    .prop_map(|(span, unmap)| Operation::Zero { span, unmap })
                    .boxed(),
            ),
            (2, self.span().prop_map(Operation::Discard).boxed()),
            (
                1,
                (1..=size / 512 + 16)
                    .prop_map(|sectors| Operation::Truncate(sectors * 512))
                    .boxed(),
            ),
            (
                1,
                (0..2 * cluster / 512, 1..=cluster / 512, any::<u8>())
                    .prop_map(|(offset, length, byte)| {
                        let (offset, length) = (offset * 512, length * 512);
                        Operation::VmState(Span { offset, length }, byte)
                    })
                    .boxed(),
            ),
        ]
    }
}

fn fill() -> impl Strategy<Value = Fill> {
    prop_oneof![any::<u8>().prop_map(Fill::Byte), Just(Fill::Pattern)]
}

impl ReferenceStateMachine for Flat {
    type State = Self;
    type Transition = Operation;

    fn init_state() -> BoxedStrategy<Self> {
        Configuration::any().prop_map(Self::new).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Operation> {
        let mut choices = state.changes();
        choices.push((1, Just(Operation::Flush).boxed()));
        choices.push((1, Just(Operation::Reopen).boxed()));
        let create = Operation::SnapshotCreate(state.next_snapshot);
        choices.push((2, Just(create).boxed()));
        let numbers: Vec<u32> = state.snapshots.keys().copied().collect();
        if !numbers.is_empty() {
            let number = prop::sample::select(numbers);
            choices.push((1, number.clone().prop_map(Operation::SnapshotApply).boxed()));
            choices.push((1, number.prop_map(Operation::SnapshotDelete).boxed()));
        }
        choices.push((1, Just(Operation::Commit).boxed()));
        let base = prop::sample::select(vec![None, Some(Base::A), Some(Base::B)]);
        choices.push((1, base.prop_map(Operation::Rebase).boxed()));
        Union::new_weighted(choices).boxed()
    }

    fn preconditions(state: &Self, operation: &Operation) -> bool {
        state.allows(*operation)
    }

    fn apply(mut state: Self, operation: &Operation) -> Self {
        state.step(*operation);
        state
    }
}
