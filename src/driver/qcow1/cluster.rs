//! Compressed clusters (qcow1 §4): never encrypted, stored byte after byte.

use super::image::Qcow1;
use super::write::Data;
use crate::base::error::errno;
use crate::base::iv_sector::SECTOR_SIZE;
use crate::base::{Error, GuestOffset, HostOffset, Result};
use crate::codec::Compression;
use crate::format::qcow1::Mapping;
use crate::node::{DebugEvent, Preallocation, Turn};

impl Qcow1 {
    fn cluster_bytes(&self) -> Result<usize> {
        usize::try_from(self.geometry.cluster_size()).map_err(|_| Error::eio())
    }

    /// The whole cluster behind a compressed entry.
    pub(super) fn inflate_cluster(&self, offset: HostOffset, length: usize) -> Result<Vec<u8>> {
        if length == 0 {
            return Err(Error::eio());
        }
        // Whatever is wrong: the cluster can't be had.
        let stored = self
            .file
            .read_vec(offset, length)
            .map_err(|_| Error::eio())?;
        let mut cluster = vec![0; self.cluster_bytes()?];
        Compression::Deflate.decompress(&stored, &mut cluster)?;
        Ok(cluster)
    }

    /// Writes one whole cluster (or the image's last, short one) compressed. Unlike the real tool's, a
    /// rewrite goes to a new place (qcow1 §6: its own destroys data).
    pub(super) fn write_cluster_compressed(
        &self,
        offset: GuestOffset,
        data: &[u8],
        mut turn: Option<&mut dyn Turn>,
    ) -> Result<()> {
        self.check_writable()?;
        let length = data.len() as u64;
        self.check_range(offset, length)?;
        let cluster = self.geometry.cluster_size();
        let last = offset.bytes() + length == self.geometry.size();
        let whole = length == cluster || (length < cluster && last);
        if !offset.is_aligned(cluster) || !whole {
            return Err(Error::bare(errno::EINVAL));
        }
        let mut padded = data.to_vec();
        padded.resize(self.cluster_bytes()?, 0);
        let mut deflated = Vec::new();
        if !Compression::Deflate.compress(&padded, &mut deflated)? {
            return self.write(offset, Data::Shared(data), turn);
        }
        if let Some(turn) = turn.as_deref_mut() {
            turn.wait()?;
        }
        let guard = self
            .changing
            .lock(offset.bytes()..offset.bytes().saturating_add(cluster));
        let Some((place, entry)) = self.reserve_compressed(offset, deflated.len())? else {
            drop(guard);
            return self.write(offset, Data::Shared(data), turn);
        };
        if let Some(turn) = turn {
            turn.pass();
        }
        self.file.debug_event(DebugEvent::WriteCompressed);
        self.file.write_at(place, &deflated)?;
        // The file's new length must be durable before an entry points behind the old one.
        self.file.flush()?;
        self.tables
            .set_entries(offset, &[entry], DebugEvent::L2UpdateCompressed)
    }

    /// A place at the end of the file; `None` when the descriptor can't name it.
    fn reserve_compressed(
        &self,
        offset: GuestOffset,
        length: usize,
    ) -> Result<Option<(HostOffset, u64)>> {
        let _allocating = self.allocation.lock();
        let mut end = self.file.length()?;
        self.ensure_table(offset, &mut end)?;
        let place = end
            .checked_next_multiple_of(SECTOR_SIZE as u64)
            .map(HostOffset::new)
            .ok_or_else(|| Error::bare(errno::EFBIG))?;
        let mapping = Mapping::Compressed {
            offset: place,
            length,
        };
        let Some(entry) = mapping.encode(&self.geometry) else {
            return Ok(None);
        };
        let end = place.plus(length as u64)?;
        self.file.resize(end.bytes(), Preallocation::Off)?;
        Ok(Some((place, entry)))
    }
}
