//! What lies where, for map and convert.

use super::image::Qcow2;
use super::metadata::Metadata;
use super::tables::TableKind;
use crate::base::{GuestOffset, HostOffset, Result};
use crate::format::qcow2::lookup::Mapping;
use crate::format::qcow2::{HostCluster, refcount};
use crate::node::Extent;

impl Qcow2 {
    /// The status of a run at `offset`.
    pub(super) fn extent_disk(&self, offset: GuestOffset, length: u64) -> Result<Extent> {
        let length = length.min(self.size().saturating_sub(offset.bytes()));
        if length == 0 {
            return Ok(Extent::default());
        }
        let run = self.metadata()?.lookup(offset, length)?;
        let found = Extent {
            length: run.length,
            ..Extent::default()
        };
        Ok(match run.mapping {
            Mapping::Unallocated(host) => Extent {
                host: host.filter(|_| self.encryption_method.is_none()),
                ..found
            },
            Mapping::Zero(host) => Extent {
                zero: true,
                allocated: true,
                host: host.filter(|_| self.encryption_method.is_none()),
                ..found
            },
            Mapping::Data(host) => {
                let stored = Extent {
                    data: true,
                    allocated: true,
                    ..found
                };
                // Ciphertext is not what the guest reads.
                if self.encryption_method.is_some() {
                    return Ok(stored);
                }
                let hole = self.hole_at(host, run.length)?;
                Extent {
                    host: Some(host),
                    zero: hole.zero,
                    length: hole.length,
                    ..stored
                }
            }
            Mapping::Compressed(_) => Extent {
                data: true,
                allocated: true,
                compressed: true,
                ..found
            },
        })
    }

    /// Whether a run of clusters lies in a hole of the file, and how much of it. Only files that are emptier than
    /// their refcounts say are asked: to the others the answer would always be no.
    fn hole_at(&self, host: HostOffset, length: u64) -> Result<Extent> {
        let stored = Extent {
            length,
            ..Extent::default()
        };
        if !self.asks_for_holes() {
            return Ok(stored);
        }
        let below = self.data.extent(host, length)?;
        if below.length == 0 {
            // Behind the file's end.
            return Ok(Extent {
                zero: true,
                ..stored
            });
        }
        Ok(Extent {
            length: below.length.min(length),
            zero: below.zero,
            ..stored
        })
    }

    /// Whether the file is asked where its holes are; found out once.
    pub(super) fn asks_for_holes(&self) -> bool {
        *self.preallocated.get_or_init(|| self.looks_preallocated())
    }

    /// The real tool's rule, found by punching holes into images of many sizes: a tenth of the counted clusters,
    /// but at least two, take no space.
    fn looks_preallocated(&self) -> bool {
        let cluster_size = self.geometry.cluster_size();
        let (Some(allocated), Ok(length)) =
            (self.file.node().allocated_bytes(), self.file.length())
        else {
            return false;
        };
        let taken = allocated / cluster_size;
        let wanted = taken.saturating_add(2.max(taken / 9));
        self.metadata()
            .and_then(|mut metadata| {
                metadata.counts_at_least(wanted, length.div_ceil(cluster_size))
            })
            // What is wrong with the refcounts, `check` says.
            .unwrap_or(false)
    }
}

impl Metadata {
    /// Whether at least `wanted` of the file's first `clusters` clusters are counted as used.
    fn counts_at_least(&mut self, wanted: u64, clusters: u64) -> Result<bool> {
        let geometry = self.geometry;
        let per_block = geometry.refcount_block_entries();
        let mut used = 0;
        for first in (0..clusters).step_by(usize::try_from(per_block).unwrap_or(usize::MAX)) {
            let Some(block) = self.refcount_block_of(HostCluster::new(first))? else {
                continue;
            };
            self.load(TableKind::RefcountBlock, block)?;
            let Some(bytes) = self.refcount_blocks.peek(block) else {
                continue;
            };
            let inside = per_block.min(clusters - first);
            used += (0..usize::try_from(inside).unwrap_or(usize::MAX))
                .filter(|index| {
                    refcount::read(&geometry, bytes, *index).is_some_and(|count| count != 0)
                })
                .count() as u64;
            if used >= wanted {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
