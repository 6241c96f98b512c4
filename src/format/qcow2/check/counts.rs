//! How often each cluster of the file is referenced: a byte each, and only where something is.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::Finding;
use crate::base::error::errno;
use crate::base::{Error, Result};
use crate::format::qcow2::Geometry;

/// Clusters of a segment, as an exponent.
const SEGMENT_BITS: u32 = 16;
/// Clusters of a segment.
pub const SEGMENT: u64 = 1 << SEGMENT_BITS;
/// A byte of this value says: look into `large`.
const IN_LARGE: u8 = u8::MAX;

#[derive(Default)]
struct Segment {
    counts: Vec<u8>,
    large: HashMap<u16, u64>,
    /// Clusters whose stored count is another one: a bit each.
    differing: Vec<u64>,
}

/// The counts of all clusters of a file.
///
/// Many threads may count at once. Memory goes with the clusters in use, not with the file's length.
pub struct ReferenceCounts {
    geometry: Geometry,
    file_bytes: u64,
    /// One more than the file has when a reference ends less than a cluster behind it.
    clusters: AtomicU64,
    segments: Vec<Mutex<Segment>>,
}

/// QEMU: more clusters than this are not checked.
const MAX_CLUSTERS: u64 = i32::MAX as u64;

impl ReferenceCounts {
    /// All zero, for a file of that many bytes.
    pub fn new(geometry: Geometry, file_bytes: u64) -> Result<Self> {
        let clusters = geometry.clusters_for(file_bytes);
        if clusters > MAX_CLUSTERS {
            return Err(Error::bare(errno::EFBIG));
        }
        let segments = (clusters + 1).div_ceil(SEGMENT);
        Ok(Self {
            geometry,
            file_bytes,
            clusters: AtomicU64::new(clusters),
            segments: (0..segments).map(|_| Mutex::default()).collect(),
        })
    }

    /// The file has grown to that many bytes.
    pub fn extend(&mut self, file_bytes: u64) -> Result<()> {
        let clusters = self.geometry.clusters_for(file_bytes);
        if clusters > MAX_CLUSTERS {
            return Err(Error::bare(errno::EFBIG));
        }
        self.file_bytes = self.file_bytes.max(file_bytes);
        self.clusters.fetch_max(clusters, Ordering::Relaxed);
        let segments = (clusters + 1).div_ceil(SEGMENT);
        while (self.segments.len() as u64) < segments {
            self.segments.push(Mutex::default());
        }
        Ok(())
    }

    /// Clusters of the file, the last one perhaps not whole or behind its end.
    pub fn clusters(&self) -> u64 {
        self.clusters.load(Ordering::Relaxed)
    }

    /// Counts `weight` references to each cluster that a region touches (qcow2 §13).
    pub fn add_region(
        &self,
        offset: u64,
        size: u64,
        weight: u64,
        report: &mut dyn FnMut(Finding, u64),
    ) {
        // As the real tool does, whose sizes are signed.
        if size == 0 || size > i64::MAX as u64 {
            return;
        }
        let end = offset.saturating_add(size);
        if end.saturating_sub(self.file_bytes) >= self.geometry.cluster_size() {
            report(Finding::BeyondEnd { offset, size }, weight);
            return;
        }
        let first = offset >> self.geometry.cluster_bits();
        let last = (end - 1) >> self.geometry.cluster_bits();
        self.clusters.fetch_max(last + 1, Ordering::Relaxed);
        self.add_clusters(first, last - first + 1, weight, report);
    }

    /// Whether a cluster at that offset may be counted without asking [`Self::add_region`].
    pub const fn holds_cluster(&self, offset: u64) -> bool {
        offset < self.file_bytes && offset & (self.geometry.cluster_size() - 1) == 0
    }

    /// Counts `weight` references to each of `count` clusters of the file.
    pub fn add_clusters(
        &self,
        first: u64,
        count: u64,
        weight: u64,
        report: &mut dyn FnMut(Finding, u64),
    ) {
        let end = first.saturating_add(count).min(self.clusters());
        let mut cluster = first;
        while cluster < end {
            let stop = (((cluster >> SEGMENT_BITS) + 1) << SEGMENT_BITS).min(end);
            if let Some(segment) = self.segment_of(cluster) {
                let mut segment = segment.lock();
                self.add_in_segment(&mut segment, cluster, stop, weight, report);
            }
            cluster = stop;
        }
    }

    fn add_in_segment(
        &self,
        segment: &mut Segment,
        first: u64,
        end: u64,
        weight: u64,
        report: &mut dyn FnMut(Finding, u64),
    ) {
        let bytes = usize::try_from(SEGMENT).unwrap_or(usize::MAX);
        segment.counts.resize(bytes, 0);
        let start = position(first);
        let length = usize::try_from(end - first).unwrap_or(0);
        let largest = self.geometry.refcount_max();
        let Segment { counts, large, .. } = segment;
        let Some(run) = counts.get_mut(start..start + length) else {
            return;
        };
        // Nearly always each count is small and stays so: one pass without branches.
        let room = u64::from(IN_LARGE - 1).min(largest);
        let highest = run.iter().copied().max().unwrap_or(0);
        if let Ok(step) = u8::try_from(weight)
            && u64::from(highest) + weight <= room
        {
            for count in run {
                *count += step;
            }
            return;
        }
        for (at, count) in run.iter_mut().enumerate() {
            let key = u16::try_from(start + at).unwrap_or(u16::MAX);
            let now = if *count == IN_LARGE {
                large.get(&key).copied().unwrap_or(0)
            } else {
                u64::from(*count)
            };
            let added = weight.min(largest.saturating_sub(now));
            let next = now + added;
            match u8::try_from(next) {
                Ok(small) if small < IN_LARGE => *count = small,
                _ => {
                    *count = IN_LARGE;
                    large.insert(key, next);
                }
            }
            if added < weight {
                let offset = (first + at as u64) << self.geometry.cluster_bits();
                report(Finding::Overflow { offset }, weight - added);
            }
        }
    }

    fn segment_of(&self, cluster: u64) -> Option<&Mutex<Segment>> {
        self.segments
            .get(usize::try_from(cluster >> SEGMENT_BITS).ok()?)
    }

    /// The references to one cluster.
    pub fn count(&self, cluster: u64) -> u64 {
        let Some(segment) = self.segment_of(cluster) else {
            return 0;
        };
        let segment = segment.lock();
        segment.count(position(cluster))
    }

    /// No more is counted from here on: reading needs no locks any more.
    pub fn freeze(self) -> FrozenCounts {
        FrozenCounts {
            clusters: self.clusters(),
            segments: self.segments.into_iter().map(Mutex::into_inner).collect(),
        }
    }
}

/// Counts that are complete.
pub struct FrozenCounts {
    clusters: u64,
    segments: Vec<Segment>,
}

impl FrozenCounts {
    /// Clusters of the file.
    pub const fn clusters(&self) -> u64 {
        self.clusters
    }

    fn segment_of(&self, cluster: u64) -> Option<&Segment> {
        self.segments
            .get(usize::try_from(cluster >> SEGMENT_BITS).ok()?)
    }

    /// The references to one cluster.
    pub fn count(&self, cluster: u64) -> u64 {
        self.segment_of(cluster)
            .map_or(0, |segment| segment.count(position(cluster)))
    }

    /// Whether any cluster of a range is referenced.
    pub fn any_in_use(&self, range: &Range<u64>) -> bool {
        let end = range.end.min(self.clusters);
        let mut first = range.start;
        while first < end {
            let stop = (((first >> SEGMENT_BITS) + 1) << SEGMENT_BITS).min(end);
            match self.bytes(&(first..stop)) {
                Some(bytes) if bytes.iter().all(|&count| count == 0) => {}
                _ => return true,
            }
            first = stop;
        }
        false
    }

    /// The counts of a range within one segment, a byte each; empty when all are zero, `None` when one needs
    /// more than a byte.
    pub(super) fn bytes(&self, range: &Range<u64>) -> Option<&[u8]> {
        let Some(segment) = self.segment_of(range.start) else {
            return Some(&[]);
        };
        if segment.counts.is_empty() {
            return Some(&[]);
        }
        let start = position(range.start);
        let length = usize::try_from(range.end - range.start).ok()?;
        let bytes = segment.counts.get(start..start.checked_add(length)?)?;
        (segment.large.is_empty() || !bytes.contains(&IN_LARGE)).then_some(bytes)
    }

    /// Notes that the stored count of a cluster is not the counted one, or not readable.
    pub fn mark_differing(&mut self, cluster: u64) {
        let index = usize::try_from(cluster >> SEGMENT_BITS).unwrap_or(usize::MAX);
        if let Some(segment) = self.segments.get_mut(index) {
            let words = usize::try_from(SEGMENT / 64).unwrap_or(0);
            segment.differing.resize(words, 0);
            let at = position(cluster);
            if let Some(word) = segment.differing.get_mut(at / 64) {
                *word |= 1 << (at % 64);
            }
        }
    }

    /// The stored count of a cluster when it is known to be the counted one.
    pub fn agreed(&self, cluster: u64) -> Option<u64> {
        let segment = self.segment_of(cluster)?;
        let at = position(cluster);
        let differs = segment
            .differing
            .get(at / 64)
            .is_some_and(|word| word & (1 << (at % 64)) != 0);
        (!differs && cluster < self.clusters).then(|| segment.count(at))
    }
}

impl Segment {
    fn count(&self, at: usize) -> u64 {
        match self.counts.get(at) {
            None => 0,
            Some(&IN_LARGE) => u16::try_from(at)
                .ok()
                .and_then(|key| self.large.get(&key).copied())
                .unwrap_or(0),
            Some(&count) => u64::from(count),
        }
    }
}

/// The place of a cluster in its segment.
fn position(cluster: u64) -> usize {
    usize::try_from(cluster & (SEGMENT - 1)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
