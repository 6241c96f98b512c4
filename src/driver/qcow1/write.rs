//! Writing: places are reserved at the end of the file, data is written, then the mapping is committed.
//!
//! The real tool commits first (qcow1 §6) and ends with the same bytes; this order leaves unused clusters
//! after a crash, never a cluster that two guest addresses share.

use super::image::Qcow1;
use crate::base::error::errno;
use crate::base::iv_sector::SECTOR_SIZE;
use crate::base::{Error, GuestOffset, HostOffset, Result};
use crate::format::qcow1::Mapping;
use crate::node::{DebugEvent, Preallocation, Turn, ZeroFlags};

/// Bytes enciphered at once when the caller's buffer must stay as it is.
const CHUNK: usize = 1 << 20;

/// The bytes to write.
pub(super) enum Data<'a> {
    /// Must stay as they are.
    Shared(&'a [u8]),
    /// May be enciphered in place.
    Scratch(&'a mut [u8]),
}

impl Data<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Scratch(bytes) => bytes,
        }
    }
}

/// A part of a request that lies in one piece in the file.
#[derive(Clone, Copy, Debug)]
struct Piece {
    guest: GuestOffset,
    host: HostOffset,
    length: u64,
    /// Newly reserved: to be filled up to whole clusters and committed.
    fresh: bool,
}

impl Piece {
    fn continued_by(&self, next: &Self) -> bool {
        self.fresh == next.fresh
            && self.host.bytes().checked_add(self.length) == Some(next.host.bytes())
    }
}

fn too_large() -> Error {
    Error::bare(errno::EFBIG)
}

impl Qcow1 {
    /// Writes any range, at its turn.
    pub(super) fn write(
        &self,
        offset: GuestOffset,
        data: Data<'_>,
        mut turn: Option<&mut dyn Turn>,
    ) -> Result<()> {
        self.check_writable()?;
        let length = data.bytes().len() as u64;
        self.check_range(offset, length)?;
        if let Some(turn) = turn.as_deref_mut() {
            turn.wait()?;
        }
        let cluster = self.geometry.cluster_size();
        let end = offset.plus(length)?;
        let _changing = self
            .changing
            .lock(offset.align_down(cluster).bytes()..end.bytes().next_multiple_of(cluster));
        let sector = SECTOR_SIZE as u64;
        if offset.is_aligned(sector) && end.is_aligned(sector) {
            return self.write_sectors(offset, data, turn);
        }
        let mut widened = self.widen_to_sectors(offset, data.bytes())?;
        self.write_sectors(offset.align_down(sector), Data::Scratch(&mut widened), turn)
    }

    /// Real zero bytes: the format has no zero clusters (qcow1 §6).
    pub(super) fn write_zero_bytes(
        &self,
        offset: GuestOffset,
        length: u64,
        flags: ZeroFlags,
    ) -> Result<()> {
        self.check_writable()?;
        self.check_range(offset, length)?;
        if flags.contains(ZeroFlags::NO_FALLBACK) {
            return Err(Error::bare(errno::ENOTSUP));
        }
        let chunk = usize::try_from(length).unwrap_or(CHUNK).min(CHUNK);
        let mut zeros = vec![0; chunk];
        let mut done = 0;
        while done < length {
            let part = usize::try_from(length - done).unwrap_or(chunk).min(chunk);
            let (head, _) = zeros.split_at_mut(part);
            if self.encryption.is_some() {
                head.fill(0);
            }
            self.write(offset.plus(done)?, Data::Scratch(head), None)?;
            done += part as u64;
        }
        Ok(())
    }

    /// The request with the rest of its first and last sector around it.
    fn widen_to_sectors(&self, offset: GuestOffset, data: &[u8]) -> Result<Vec<u8>> {
        let sector = SECTOR_SIZE as u64;
        let start = offset.align_down(sector);
        let skipped = usize::try_from(offset.within(sector)).map_err(|_| too_large())?;
        let mut widened = vec![0; (skipped + data.len()).next_multiple_of(SECTOR_SIZE)];
        let last = widened.len() - SECTOR_SIZE;
        self.read(start, &mut widened[..SECTOR_SIZE])?;
        if last > 0 {
            self.read(start.plus(last as u64)?, &mut widened[last..])?;
        }
        widened[skipped..skipped + data.len()].copy_from_slice(data);
        Ok(widened)
    }

    fn write_sectors(
        &self,
        offset: GuestOffset,
        mut data: Data<'_>,
        turn: Option<&mut dyn Turn>,
    ) -> Result<()> {
        let length = data.bytes().len() as u64;
        let pieces = self.place(offset, length)?;
        if let Some(turn) = turn {
            turn.pass();
        }
        for piece in &pieces {
            if piece.fresh {
                self.fill_around(piece)?;
            }
            self.store(offset, &mut data, piece)?;
        }
        if pieces.iter().any(|piece| piece.fresh) {
            // The file's new length must be durable before an entry points behind the old one: otherwise a
            // later allocation could give the same place to another cluster.
            self.file.flush()?;
        }
        for piece in pieces.iter().filter(|piece| piece.fresh) {
            self.commit(piece)?;
        }
        Ok(())
    }

    /// Where each part of the request goes, in the order and at the places of the real tool.
    fn place(&self, offset: GuestOffset, length: u64) -> Result<Vec<Piece>> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut add = |next: Piece| match pieces.last_mut() {
            Some(last) if last.continued_by(&next) => last.length += next.length,
            _ => pieces.push(next),
        };
        let mut allocating = None;
        let mut file_end = 0;
        let mut done = 0;
        while done < length {
            let guest = offset.plus(done)?;
            let run = self.tables.run(guest, length - done)?;
            if let Mapping::Normal(host) = run.mapping {
                add(Piece {
                    guest,
                    host,
                    length: run.length,
                    fresh: false,
                });
                done += run.length;
                continue;
            }
            if allocating.is_none() {
                allocating = Some(self.allocation.lock());
                file_end = self.file.length()?;
            }
            self.ensure_table(guest, &mut file_end)?;
            add(self.reserve(guest, run.length, &mut file_end)?);
            done += run.length;
        }
        if allocating.is_some() && file_end > self.file.length()? {
            self.file.resize(file_end, Preallocation::Off)?;
        }
        Ok(pieces)
    }

    /// Clusters for a run at the end of the file.
    fn reserve(&self, guest: GuestOffset, length: u64, file_end: &mut u64) -> Result<Piece> {
        self.file.debug_event(DebugEvent::ClusterAlloc);
        let cluster = self.geometry.cluster_size();
        let within = self.geometry.within_cluster(guest);
        let start = file_end
            .checked_next_multiple_of(cluster)
            .ok_or_else(too_large)?;
        let reserved = (within + length).next_multiple_of(cluster);
        *file_end = start
            .checked_add(reserved)
            .filter(|&end| i64::try_from(end).is_ok())
            .ok_or_else(too_large)?;
        Ok(Piece {
            guest,
            host: HostOffset::new(start + within),
            length,
            fresh: true,
        })
    }

    /// Makes the L2 table responsible for `guest` when there is none. `allocation` is held.
    pub(super) fn ensure_table(&self, guest: GuestOffset, file_end: &mut u64) -> Result<()> {
        if self.tables.l2_offset(guest)?.is_some() {
            return Ok(());
        }
        let place = file_end
            .checked_next_multiple_of(self.geometry.cluster_size())
            .ok_or_else(too_large)?;
        let zeros = vec![0; self.geometry.l2_bytes()];
        self.file.write_at(HostOffset::new(place), &zeros)?;
        self.file.flush()?;
        self.tables.set_l2_offset(guest, HostOffset::new(place))?;
        // The real tool loads a new table like any other.
        self.file.debug_event(DebugEvent::L2Load);
        *file_end = place + zeros.len() as u64;
        Ok(())
    }

    /// Stores one piece of the request that starts at `offset`.
    fn store(&self, offset: GuestOffset, data: &mut Data<'_>, piece: &Piece) -> Result<()> {
        let start = usize::try_from(piece.guest.distance_from(offset)).map_err(|_| too_large())?;
        let length = usize::try_from(piece.length).map_err(|_| too_large())?;
        let range = start..start + length;
        self.file.debug_event(DebugEvent::WriteAio);
        match (self.cipher()?, data) {
            (None, data) => {
                let bytes = data.bytes().get(range).ok_or_else(Error::eio)?;
                self.file.write_at(piece.host, bytes)
            }
            (Some(encryption), Data::Scratch(bytes)) => {
                let bytes = bytes.get_mut(range).ok_or_else(Error::eio)?;
                encryption.encrypt(piece.guest, piece.host, bytes);
                self.file.write_at_in_place(piece.host, bytes)
            }
            (Some(encryption), Data::Shared(bytes)) => {
                let bytes = bytes.get(range).ok_or_else(Error::eio)?;
                let (mut guest, mut host) = (piece.guest, piece.host);
                for chunk in bytes.chunks(CHUNK) {
                    let mut copy = chunk.to_vec();
                    encryption.encrypt(guest, host, &mut copy);
                    self.file.write_at_in_place(host, &mut copy)?;
                    guest = guest.plus(chunk.len() as u64)?;
                    host = host.plus(chunk.len() as u64)?;
                }
                Ok(())
            }
        }
    }

    /// What the first and last cluster of a fresh piece hold besides the request: the copied half of
    /// copy-on-write. The real tool leaves zeros there (qcow1 §6), which is right only without a backing file.
    fn fill_around(&self, piece: &Piece) -> Result<()> {
        let cluster = self.geometry.cluster_size();
        let before = piece.guest.within(cluster);
        let end = piece.guest.plus(piece.length)?;
        let after = end.bytes().next_multiple_of(cluster) - end.bytes();
        if before > 0 {
            let host = HostOffset::new(piece.host.bytes() - before);
            self.copy_old(piece.guest.align_down(cluster), host, before)?;
        }
        if after > 0 {
            self.copy_old(end, piece.host.plus(piece.length)?, after)?;
        }
        Ok(())
    }

    /// Copies what `guest` reads as until now to its new place. Less than a cluster, whole sectors.
    fn copy_old(&self, guest: GuestOffset, host: HostOffset, length: u64) -> Result<()> {
        let cipher = self.cipher()?;
        let old = self.tables.run(guest, length)?.mapping;
        if cipher.is_none() && old == Mapping::Unallocated && self.backing_node().is_none() {
            // The new end of the file is zeros already.
            return Ok(());
        }
        let mut bytes = vec![0; usize::try_from(length).map_err(|_| too_large())?];
        let readable = self.geometry.size().saturating_sub(guest.bytes());
        let readable = usize::try_from(readable)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        self.read(guest, &mut bytes[..readable])?;
        if let Some(cipher) = cipher {
            cipher.encrypt(guest, host, &mut bytes);
        }
        self.file.write_at_in_place(host, &mut bytes)
    }

    /// Points the L2 entries of a fresh piece at it, table by table.
    fn commit(&self, piece: &Piece) -> Result<()> {
        let cluster = self.geometry.cluster_size();
        let covered = self.geometry.l1_entry_covers();
        let end = piece.guest.plus(piece.length)?;
        let mut guest = piece.guest.align_down(cluster);
        let mut host = piece.host.bytes() - piece.guest.within(cluster);
        while guest < end {
            let stop = end
                .bytes()
                .min(guest.align_down(covered).plus(covered)?.bytes());
            let count = (stop - guest.bytes()).div_ceil(cluster);
            let entries: Vec<u64> = (0..count).map(|i| host + i * cluster).collect();
            self.tables
                .set_entries(guest, &entries, DebugEvent::L2Update)?;
            guest = guest.plus(count * cluster)?;
            host += count * cluster;
        }
        Ok(())
    }
}
