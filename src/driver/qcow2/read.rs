//! Reading guest data: look up under the lock, read and decipher without it.

use super::image::Qcow2;
use super::in_flight::PlaceGuard;
use crate::base::iv_sector::SECTOR_SIZE;
use crate::base::{GuestOffset, HostOffset, Result};
use crate::format::qcow2::lookup::{Mapping, Run};
use crate::node::DebugEvent;

impl Qcow2 {
    /// Fills `buffer` from the disk.
    pub(super) fn read_disk(&self, offset: GuestOffset, buffer: &mut [u8]) -> Result<()> {
        let length = buffer.len() as u64;
        self.check_range(offset, length)?;
        if length == 0 {
            return Ok(());
        }
        let _request = self.request();
        self.read_held(offset, buffer)?;
        #[cfg(feature = "mutants")]
        crate::driver::mutants::note_read(buffer);
        Ok(())
    }

    /// Fills `buffer` while the caller holds the range; VM state lies behind the disk's end.
    pub(super) fn read_held(&self, mut offset: GuestOffset, mut buffer: &mut [u8]) -> Result<()> {
        while !buffer.is_empty() {
            let (run, _place) = self.lookup_to_read(offset, buffer.len() as u64)?;
            let length = usize::try_from(run.length)
                .unwrap_or(usize::MAX)
                .min(buffer.len());
            let (piece, rest) = buffer.split_at_mut(length);
            self.read_run(run.mapping, offset, piece)?;
            offset = offset.plus(length as u64)?;
            buffer = rest;
        }
        Ok(())
    }

    /// What lies at a guest offset; its place stays what it is until it was read.
    fn lookup_to_read(&self, offset: GuestOffset, length: u64) -> Result<(Run, PlaceGuard<'_>)> {
        let mut metadata = self.metadata()?;
        let run = metadata.lookup(offset, length)?;
        let place = match run.mapping {
            Mapping::Data(host) if !self.geometry.external_data() => {
                self.in_flight.hold(host, run.length)
            }
            Mapping::Compressed(descriptor) => {
                self.in_flight.hold(descriptor.host, descriptor.length)
            }
            _ => PlaceGuard::none(),
        };
        Ok((run, place))
    }

    fn read_run(&self, mapping: Mapping, offset: GuestOffset, piece: &mut [u8]) -> Result<()> {
        match mapping {
            Mapping::Unallocated(_) => self.read_backing(offset, piece),
            Mapping::Zero(_) => {
                piece.fill(0);
                Ok(())
            }
            Mapping::Data(host) => self.read_data(offset, host, piece),
            Mapping::Compressed(descriptor) => self.read_compressed(&descriptor, offset, piece),
        }
    }

    fn read_data(&self, guest: GuestOffset, host: HostOffset, piece: &mut [u8]) -> Result<()> {
        self.file.debug_event(DebugEvent::ReadAio);
        let Some(encryption) = &self.encryption else {
            return self.data.read_at(host, piece);
        };
        let before = guest.within(SECTOR_SIZE as u64);
        let _sectors = self
            .ciphered
            .share(guest, piece.len() as u64, SECTOR_SIZE as u64);
        if before == 0 && piece.len().is_multiple_of(SECTOR_SIZE) {
            self.data.read_at(host, piece)?;
            encryption.decrypt(guest, host, piece);
            return Ok(());
        }
        // Whole sectors around an unaligned piece.
        let skip = usize::try_from(before).unwrap_or(0);
        let mut sectors = vec![0; (skip + piece.len()).next_multiple_of(SECTOR_SIZE)];
        let guest = guest.align_down(SECTOR_SIZE as u64);
        let host = host.align_down(SECTOR_SIZE as u64);
        self.data.read_at(host, &mut sectors)?;
        encryption.decrypt(guest, host, &mut sectors);
        piece.copy_from_slice(&sectors[skip..skip + piece.len()]);
        Ok(())
    }

    /// What no cluster here holds: the backing node's bytes, zeros behind its end. VM state has no backing.
    fn read_backing(&self, offset: GuestOffset, piece: &mut [u8]) -> Result<()> {
        let available = self.backing_bytes(offset, piece.len() as u64)?;
        let (inside, outside) =
            piece.split_at_mut(usize::try_from(available).unwrap_or(usize::MAX));
        outside.fill(0);
        match self.backing_node() {
            Some(backing) if !inside.is_empty() => {
                self.file.debug_event(DebugEvent::ReadBackingAio);
                backing.read_at(offset, inside)
            }
            _ => {
                inside.fill(0);
                Ok(())
            }
        }
    }

    /// How many of `length` bytes from `offset` on the backing node has.
    pub(super) fn backing_bytes(&self, offset: GuestOffset, length: u64) -> Result<u64> {
        let Some(backing) = self.backing_node() else {
            return Ok(0);
        };
        let end = backing.length()?.min(self.size());
        Ok(end.saturating_sub(offset.bytes()).min(length))
    }
}
