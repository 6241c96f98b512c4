//! Reading: runs from the tables, then data and deciphering with no lock held.

use super::image::Qcow1;
use crate::base::iv_sector::SECTOR_SIZE;
use crate::base::{Error, GuestOffset, HostOffset, Result};
use crate::format::qcow1::Mapping;
use crate::node::{DebugEvent, SharedNode};

impl Qcow1 {
    /// Fills `buffer` from `offset`.
    pub(super) fn read(&self, offset: GuestOffset, buffer: &mut [u8]) -> Result<()> {
        self.check_range(offset, buffer.len() as u64)?;
        let backing = self.backing_node();
        let mut rest = buffer;
        let mut guest = offset;
        while !rest.is_empty() {
            let run = self.tables.run(guest, rest.len() as u64)?;
            let length = usize::try_from(run.length).map_err(|_| Error::eio())?;
            let (part, tail) = rest.split_at_mut_checked(length).ok_or_else(Error::eio)?;
            match run.mapping {
                Mapping::Unallocated => {
                    if backing.is_some() {
                        self.file.debug_event(DebugEvent::ReadBackingAio);
                    }
                    read_backing(backing.as_ref(), guest, part)?;
                }
                Mapping::Normal(host) => self.read_normal(guest, host, part)?,
                Mapping::Compressed { offset, length } => {
                    self.file.debug_event(DebugEvent::ReadCompressed);
                    let cluster = self.inflate_cluster(offset, length)?;
                    let within = usize::try_from(self.geometry.within_cluster(guest))
                        .map_err(|_| Error::eio())?;
                    let bytes = cluster
                        .get(within..within + part.len())
                        .ok_or_else(Error::eio)?;
                    part.copy_from_slice(bytes);
                }
            }
            guest = guest.plus(run.length)?;
            rest = tail;
        }
        Ok(())
    }

    fn read_normal(&self, guest: GuestOffset, host: HostOffset, part: &mut [u8]) -> Result<()> {
        self.file.debug_event(DebugEvent::ReadAio);
        let Some(encryption) = self.cipher()? else {
            return self.file.read_at(host, part);
        };
        let sector = SECTOR_SIZE as u64;
        if guest.is_aligned(sector) && part.len().is_multiple_of(SECTOR_SIZE) {
            self.file.read_at(host, part)?;
            encryption.decrypt(guest, host, part);
            return Ok(());
        }
        // Whole sectors only can be deciphered. A cluster starts at a multiple of 512 on both sides.
        let skipped = guest.within(sector);
        let skipped_bytes = usize::try_from(skipped).map_err(|_| Error::eio())?;
        let mut whole = vec![0; (skipped_bytes + part.len()).next_multiple_of(SECTOR_SIZE)];
        let host = host.align_down(sector);
        self.file.read_at(host, &mut whole)?;
        encryption.decrypt(guest.align_down(sector), host, &mut whole);
        part.copy_from_slice(&whole[skipped_bytes..skipped_bytes + part.len()]);
        Ok(())
    }
}

/// What shines through: the backing node, zeros past its end and where there is none.
pub(super) fn read_backing(
    backing: Option<&SharedNode>,
    guest: GuestOffset,
    part: &mut [u8],
) -> Result<()> {
    let Some(backing) = backing else {
        part.fill(0);
        return Ok(());
    };
    let available = backing.length()?.saturating_sub(guest.bytes());
    let inside = usize::try_from(available)
        .unwrap_or(usize::MAX)
        .min(part.len());
    let (head, tail) = part.split_at_mut(inside);
    tail.fill(0);
    if head.is_empty() {
        Ok(())
    } else {
        backing.read_at(guest, head)
    }
}
