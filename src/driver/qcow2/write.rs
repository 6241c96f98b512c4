//! Writing guest data.

use super::image::Qcow2;
use super::plan::{MappingChange, Surroundings, WritePlan};
use crate::base::error::errno;
use crate::base::iv_sector::SECTOR_SIZE;
use crate::base::{GuestOffset, HostOffset, Result};
use crate::node::{DebugEvent, Turn, ZeroFlags};

/// Bytes to write: ciphering happens in place where the caller allows it.
pub(super) enum Payload<'a> {
    Shared(&'a [u8]),
    Scratch(&'a mut [u8]),
}

impl Payload<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Scratch(bytes) => bytes,
        }
    }

    /// The part that a plan covers.
    pub(super) fn piece(&mut self, start: usize, length: usize) -> Payload<'_> {
        match self {
            Self::Shared(bytes) => Payload::Shared(&bytes[start..start + length]),
            Self::Scratch(bytes) => Payload::Scratch(&mut bytes[start..start + length]),
        }
    }
}

/// Up to this many bytes, a partial write and its surroundings go out as one piece.
const MERGED_BYTES: u64 = 256 << 10;

impl Qcow2 {
    /// Writes to the disk.
    pub(super) fn write_disk(&self, offset: GuestOffset, payload: Payload<'_>) -> Result<()> {
        let length = payload.bytes().len() as u64;
        self.check_range(offset, length)?;
        self.mark_dirty(offset.bytes(), length);
        #[cfg(feature = "mutants")]
        let mut bytes = crate::driver::mutants::written(payload.bytes());
        #[cfg(feature = "mutants")]
        let payload = Payload::Scratch(&mut bytes);
        self.write_anywhere(offset, payload, None)
    }

    /// Writes to the disk as one of a queue: only allocation happens inside the turn.
    pub(super) fn write_disk_in_turn(
        &self,
        offset: GuestOffset,
        data: &mut [u8],
        turn: &mut dyn Turn,
    ) -> Result<()> {
        self.check_range(offset, data.len() as u64)?;
        self.mark_dirty(offset.bytes(), data.len() as u64);
        self.write_anywhere(offset, Payload::Scratch(data), Some(turn))
    }

    /// Writes to the disk or to VM state.
    pub(super) fn write_anywhere(
        &self,
        offset: GuestOffset,
        payload: Payload<'_>,
        mut turn: Option<&mut dyn Turn>,
    ) -> Result<()> {
        self.check_writable()?;
        let length = payload.bytes().len();
        if length == 0 {
            return Ok(());
        }
        // Before the range is taken: an earlier writer may need a cluster that this one shares.
        if let Some(turn) = &mut turn {
            turn.wait()?;
        }
        let _request = self.request();
        let Some(_) = &self.encryption else {
            return self.write_planned(offset, payload, turn);
        };
        let sector = SECTOR_SIZE as u64;
        let skip = usize::try_from(offset.within(sector)).unwrap_or(0);
        let whole = skip == 0 && length.is_multiple_of(SECTOR_SIZE);
        let _completed = if whole {
            self.completed.share(offset, length as u64, sector)
        } else {
            self.completed.own(offset, length as u64, sector)
        };
        match payload {
            Payload::Scratch(_) if whole => self.write_planned(offset, payload, turn),
            payload => {
                // A copy that may be ciphered in place, completed to whole sectors.
                let start = offset.align_down(SECTOR_SIZE as u64);
                let mut sectors = vec![0; (skip + length).next_multiple_of(SECTOR_SIZE)];
                if skip != 0 {
                    self.read_held(start, &mut sectors[..SECTOR_SIZE])?;
                }
                let end = skip + length;
                if !end.is_multiple_of(SECTOR_SIZE) {
                    let last = end / SECTOR_SIZE * SECTOR_SIZE;
                    let guest = start.plus(last as u64)?;
                    self.read_held(guest, &mut sectors[last..last + SECTOR_SIZE])?;
                }
                sectors[skip..end].copy_from_slice(payload.bytes());
                self.write_planned(start, Payload::Scratch(&mut sectors), turn)
            }
        }
    }

    /// The mutant that leaves what it copies in front of a write in clear.
    #[cfg(feature = "mutants")]
    pub(super) fn spoil_head(&self, plan: &WritePlan, change: &MappingChange) -> Result<()> {
        let Some(encryption) = &self.encryption else {
            return Ok(());
        };
        if !crate::driver::mutants::leaves_heads_in_clear() {
            return Ok(());
        }
        let head = plan.guest.distance_from(change.covered.from);
        let mut bytes = vec![0; usize::try_from(head).unwrap_or(0)];
        self.data.read_at(change.covered_host(), &mut bytes)?;
        encryption.decrypt(change.covered.from, change.covered_host(), &mut bytes);
        self.data.write_at(change.covered_host(), &bytes)
    }

    /// Encrypts and writes bytes that belong at `guest` to their place.
    pub(super) fn store(
        &self,
        guest: GuestOffset,
        host: HostOffset,
        piece: Payload<'_>,
    ) -> Result<()> {
        match (piece, &self.encryption) {
            (Payload::Shared(bytes), None) => self.data.write_at(host, bytes),
            (Payload::Scratch(bytes), None) => self.data.write_at_in_place(host, bytes),
            (Payload::Scratch(bytes), Some(encryption)) => {
                encryption.encrypt(guest, host, bytes);
                let _sectors = self
                    .ciphered
                    .own(guest, bytes.len() as u64, SECTOR_SIZE as u64);
                self.data.write_at_in_place(host, bytes)
            }
            (Payload::Shared(bytes), Some(encryption)) => {
                let mut bytes = bytes.to_vec();
                encryption.encrypt(guest, host, &mut bytes);
                let _sectors = self
                    .ciphered
                    .own(guest, bytes.len() as u64, SECTOR_SIZE as u64);
                self.data.write_at_in_place(host, &mut bytes)
            }
        }
    }

    /// Writes a run whose mapping changes, with what it covers around it. True when bytes that were
    /// stored elsewhere were copied.
    pub(super) fn store_with_surroundings(
        &self,
        plan: &WritePlan,
        change: &MappingChange,
        piece: Payload<'_>,
    ) -> Result<bool> {
        let total = change.covered.to.distance_from(change.covered.from);
        let head = plan.guest.distance_from(change.covered.from);
        let tail = total - head - plan.length;
        if head == 0 && tail == 0 {
            self.file.debug_event(DebugEvent::WriteAio);
            self.store(plan.guest, plan.host, piece)?;
            return Ok(false);
        }
        let tail_guest = plan.guest.plus(plan.length)?;
        let head_zero = head == 0 || self.reads_zero(change.head, change.covered.from, head)?;
        let tail_zero = tail == 0 || self.reads_zero(change.tail, tail_guest, tail)?;
        if head_zero && tail_zero && self.zero_around(change, total)? {
            self.file.debug_event(DebugEvent::WriteAio);
            self.store(plan.guest, plan.host, piece)?;
            return Ok(false);
        }
        self.file.debug_event(DebugEvent::CowRead);
        if total <= MERGED_BYTES {
            let mut whole = vec![0; usize::try_from(total).unwrap_or(0)];
            let start = usize::try_from(head).unwrap_or(0);
            let end = start + piece.bytes().len();
            if !head_zero {
                self.read_held(change.covered.from, &mut whole[..start])?;
            }
            whole[start..end].copy_from_slice(piece.bytes());
            if !tail_zero {
                self.read_held(tail_guest, &mut whole[end..])?;
            }
            self.announce_copied_write();
            let (from, host) = (change.covered.from, change.covered_host());
            self.store(from, host, Payload::Scratch(&mut whole))?;
            return Ok(true);
        }
        self.announce_copied_write();
        let (from, host) = (change.covered.from, change.covered_host());
        self.store_surrounding(from, host, head, head_zero)?;
        self.store(plan.guest, plan.host, piece)?;
        let tail_host = plan.host.plus(plan.length)?;
        self.store_surrounding(tail_guest, tail_host, tail, tail_zero)?;
        Ok(true)
    }

    /// Zeros new clusters as a whole, before a part of them is written. Not where that part reaches behind the disk's
    /// end, as in the real tool, and not where zeros must be ciphered; false then.
    fn zero_around(&self, change: &MappingChange, total: u64) -> Result<bool> {
        if self.encryption.is_some() || change.covered.to.bytes() > self.size() {
            return Ok(false);
        }
        self.file.debug_event(DebugEvent::ClusterAllocSpace);
        let flags = ZeroFlags::NO_FALLBACK;
        match self.data.write_zeroes(change.covered_host(), total, flags) {
            Err(error) if error.errno() == errno::ENOTSUP => Ok(false),
            outcome => outcome.map(|()| true),
        }
    }

    /// Guest data goes out, and what was copied around it with it.
    fn announce_copied_write(&self) {
        self.file.debug_event(DebugEvent::WriteAio);
        self.file.debug_event(DebugEvent::CowWrite);
    }

    /// Writes what surrounds a partial write in a new cluster.
    fn store_surrounding(
        &self,
        guest: GuestOffset,
        host: HostOffset,
        length: u64,
        zero: bool,
    ) -> Result<()> {
        if length == 0 {
            return Ok(());
        }
        // At most a cluster, 2 MiB.
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        if !zero {
            self.read_held(guest, &mut bytes)?;
        }
        self.store(guest, host, Payload::Scratch(&mut bytes))
    }

    fn reads_zero(&self, around: Surroundings, guest: GuestOffset, length: u64) -> Result<bool> {
        match around {
            Surroundings::Zero => Ok(true),
            Surroundings::Stored => Ok(false),
            Surroundings::Backing => Ok(self.backing_bytes(guest, length)? == 0),
        }
    }
}
