//! Compressed clusters (qcow2 §3). They are stored in clear even in encrypted images.

use std::sync::Arc;

use super::image::Qcow2;
use super::metadata::{FreeReason, Metadata};
use super::overlap::Area;
use super::tables::TableKind;
use super::write::Payload;
use crate::base::error::errno;
use crate::base::{Error, GuestOffset, HostOffset, Result};
use crate::codec::Compression;
use crate::format::qcow2::header::CompressionType;
use crate::format::qcow2::l1_entry::OFFSET_MASK;
use crate::format::qcow2::{CompressedDescriptor, L2Entry};
use crate::node::{DebugEvent, Preallocation, Turn};

/// The cluster that was inflated last: small reads of one cluster follow each other.
pub(super) struct DecompressedCluster {
    descriptor: CompressedDescriptor,
    /// Clusters freed before: the place may hold something else when more were.
    generation: u64,
    bytes: Arc<Vec<u8>>,
}

impl Qcow2 {
    /// Reads part of a compressed cluster.
    pub(super) fn read_compressed(
        &self,
        descriptor: &CompressedDescriptor,
        offset: GuestOffset,
        piece: &mut [u8],
    ) -> Result<()> {
        if piece.len() == self.geometry.cluster_bytes() {
            return self.inflate_at(descriptor, piece);
        }
        let generation = self.metadata()?.freed_generation;
        let known = self
            .decompressed
            .lock()
            .as_ref()
            .filter(|known| known.descriptor == *descriptor && known.generation == generation)
            .map(|known| Arc::clone(&known.bytes));
        let bytes = if let Some(bytes) = known {
            bytes
        } else {
            let mut bytes = vec![0; self.geometry.cluster_bytes()];
            self.inflate_at(descriptor, &mut bytes)?;
            let bytes = Arc::new(bytes);
            *self.decompressed.lock() = Some(DecompressedCluster {
                descriptor: *descriptor,
                generation,
                bytes: Arc::clone(&bytes),
            });
            bytes
        };
        let start = usize::try_from(self.geometry.in_cluster(offset)).unwrap_or(usize::MAX);
        let part = bytes
            .get(start..)
            .and_then(|rest| rest.get(..piece.len()))
            .ok_or_else(Error::eio)?;
        piece.copy_from_slice(part);
        Ok(())
    }

    /// Inflates a whole cluster into `cluster`.
    fn inflate_at(&self, descriptor: &CompressedDescriptor, cluster: &mut [u8]) -> Result<()> {
        self.file.debug_event(DebugEvent::ReadCompressed);
        // At most twice a cluster: the length field has no more bits.
        let length = usize::try_from(descriptor.length).map_err(|_| Error::eio())?;
        let stored = self.file.read_vec(descriptor.host, length)?;
        self.codec().decompress(&stored, cluster)
    }

    /// Writes one cluster, or the disk's last short one, compressed.
    pub(super) fn write_compressed_disk(
        &self,
        offset: GuestOffset,
        data: &[u8],
        mut turn: Option<&mut dyn Turn>,
    ) -> Result<()> {
        self.check_range(offset, data.len() as u64)?;
        self.check_writable()?;
        drop(self.metadata()?);
        if self.geometry.external_data() {
            return Err(Error::bare(errno::ENOTSUP));
        }
        let cluster_bytes = self.geometry.cluster_bytes();
        let at_end = offset.bytes() + data.len() as u64 == self.size();
        let whole = data.len() == cluster_bytes || (data.len() < cluster_bytes && at_end);
        if data.is_empty() {
            // Nothing is to be written: the end of a series, at which the file has whole sectors.
            return self.file.resize(self.file.length()?, Preallocation::Off);
        }
        if self.geometry.in_cluster(offset) != 0 || !whole {
            return Err(Error::bare(errno::EINVAL));
        }
        self.mark_dirty(offset.bytes(), data.len() as u64);
        let compressed = self.compress(data)?;
        let Some(compressed) = compressed else {
            return self.write_anywhere(offset, Payload::Shared(data), turn);
        };
        if let Some(turn) = &mut turn {
            turn.wait()?;
        }
        let _request = self.request();
        let host = self
            .metadata()?
            .allocate_compressed(offset, compressed.len())?;
        if let Some(turn) = turn {
            turn.pass();
        }
        self.file.debug_event(DebugEvent::WriteCompressed);
        let written = self.file.write_at(host, &compressed);
        let mut metadata = self.metadata()?;
        match written {
            Ok(()) => metadata.commit_compressed(offset, host, compressed.len() as u64),
            Err(error) => {
                metadata.release_bytes(host, compressed.len() as u64);
                Err(error)
            }
        }
    }

    /// The compressed form, zero-padded to a cluster first; `None` when it saves nothing.
    fn compress(&self, data: &[u8]) -> Result<Option<Vec<u8>>> {
        let cluster_bytes = self.geometry.cluster_bytes();
        let mut padded;
        let cluster = if data.len() == cluster_bytes {
            data
        } else {
            padded = data.to_vec();
            padded.resize(cluster_bytes, 0);
            &padded
        };
        let mut compressed = Vec::new();
        let fits = self.codec().compress(cluster, &mut compressed)?;
        Ok(fits.then_some(compressed))
    }

    fn codec(&self) -> Compression {
        match *self.compression.read() {
            CompressionType::Zlib => Compression::Deflate,
            CompressionType::Zstd => Compression::Zstd,
        }
    }
}

impl Metadata {
    /// Space for compressed data of a cluster that must not have an offset yet (errata 56).
    fn allocate_compressed(&mut self, offset: GuestOffset, length: usize) -> Result<HostOffset> {
        let table = self.writable_l2(offset)?;
        let index = self.geometry.l2_index(offset);
        let entry = self.l2_entry(table, index)?;
        if entry.raw() & OFFSET_MASK != 0 {
            return Err(Error::eio());
        }
        let length = length as u64;
        let host = self.allocate_bytes(length)?;
        if let Err(error) = self.guard_write(host, length, Area::Data) {
            self.release_bytes(host, length);
            return Err(error);
        }
        Ok(host)
    }

    fn commit_compressed(
        &mut self,
        offset: GuestOffset,
        host: HostOffset,
        length: u64,
    ) -> Result<()> {
        let committed = L2Entry::compressed(&self.geometry, host, length)
            .ok_or_else(|| Error::bare(errno::EFBIG))
            .and_then(|entry| {
                let table = self.writable_l2(offset)?;
                self.file.debug_event(DebugEvent::L2UpdateCompressed);
                let index = self.geometry.l2_index(offset);
                // Another request may have stored the cluster meanwhile.
                let now = self.l2_entry(table, index)?;
                if now.raw() & OFFSET_MASK != 0 {
                    return Err(Error::eio());
                }
                // What the place held before can't be inflated.
                self.require_file_first(TableKind::L2);
                self.change_l2(table, index, 1, |_, _| entry)
            });
        if committed.is_err() {
            self.release_bytes(host, length);
        }
        committed
    }

    /// Gives compressed space back that no mapping refers to.
    fn release_bytes(&mut self, host: HostOffset, length: u64) {
        let first = self.geometry.host_cluster(host);
        let last = self
            .geometry
            .host_cluster(host.saturating_plus(length.saturating_sub(1)));
        let count = last.index().saturating_sub(first.index()) + 1;
        // The caller reports what went wrong; a failure here leaks at worst.
        self.free_clusters(first, count, FreeReason::Never);
        self.compressed_end = None;
    }
}
