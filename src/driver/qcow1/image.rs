//! The node: what every verb works on, and the way from the `Node` trait to the verbs.

use parking_lot::{Mutex, RwLock};

use super::tables::Tables;
use crate::base::error::errno;
use crate::base::{Error, GuestOffset, Result};
use crate::driver::encryption::Encryption;
use crate::format::qcow1::{Geometry, Mapping};
use crate::node::{
    Access, BackingReference, DebugEvent, Extent, HostFile, ImageInfo, Node, RangeLocks,
    SharedNode, Turn, ZeroFlags,
};

/// An open qcow (v1) image.
pub struct Qcow1 {
    pub(super) file: HostFile,
    pub(super) geometry: Geometry,
    pub(super) tables: Tables,
    /// `None` for plain images, and for encrypted ones opened without I/O.
    pub(super) encryption: Option<Encryption>,
    pub(super) encrypted: bool,
    pub(super) writable: bool,
    pub(super) backing: RwLock<Option<SharedNode>>,
    pub(super) backing_name: Option<String>,
    /// The name to show, where it is not the file's.
    pub(super) filename: Option<String>,
    /// Held while places at the end of the file are given out.
    pub(super) allocation: Mutex<()>,
    /// Guest clusters that a write is changing.
    pub(super) changing: RangeLocks,
}

impl Qcow1 {
    /// The format's geometry, for `info` and tests.
    pub const fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    pub(super) fn backing_node(&self) -> Option<SharedNode> {
        self.backing.read().clone()
    }

    /// EIO for a range that leaves the disk.
    pub(super) fn check_range(&self, offset: GuestOffset, length: u64) -> Result<()> {
        let end = offset.bytes().checked_add(length);
        if end.is_some_and(|end| end <= self.geometry.size()) {
            Ok(())
        } else {
            Err(Error::eio())
        }
    }

    pub(super) fn check_writable(&self) -> Result<()> {
        if self.writable {
            Ok(())
        } else {
            Err(Error::bare(errno::EPERM))
        }
    }

    /// The cipher of an encrypted image; an error when it was opened without its key.
    pub(super) fn cipher(&self) -> Result<Option<&Encryption>> {
        if self.encrypted && self.encryption.is_none() {
            return Err(Error::eio());
        }
        Ok(self.encryption.as_ref())
    }

    fn mapped_extent(&self, offset: GuestOffset, length: u64) -> Result<Extent> {
        let run = self.tables.status(offset, length)?;
        let base = Extent {
            length: run.length,
            ..Extent::default()
        };
        Ok(match run.mapping {
            Mapping::Unallocated => base,
            Mapping::Normal(host) => Extent {
                data: true,
                allocated: true,
                // qcow1 §7: the bytes of an encrypted cluster don't lie in the file as they are.
                host: (!self.encrypted).then_some(host),
                ..base
            },
            Mapping::Compressed { .. } => Extent {
                data: true,
                allocated: true,
                compressed: true,
                ..base
            },
        })
    }

    /// Lengthens an unallocated extent: over holes of the L1 table, then table by table within a budget.
    fn unallocated_extent(&self, offset: GuestOffset, first: u64, length: u64) -> Result<u64> {
        /// L2 tables (or L1 entries) looked at for one answer.
        const BUDGET: usize = 4096;
        let mut total = first;
        for _ in 0..BUDGET {
            if total >= length {
                break;
            }
            let next = offset.plus(total)?;
            if self.tables.l2_offset(next)?.is_none() {
                let absent = self.tables.absent_from(next)?;
                total += absent.max(self.geometry.l1_entry_covers());
                continue;
            }
            let run = self.tables.status(next, length - total)?;
            if run.mapping != Mapping::Unallocated {
                break;
            }
            total += run.length;
        }
        Ok(total.min(length))
    }
}

impl Node for Qcow1 {
    fn driver(&self) -> &'static str {
        "qcow"
    }

    fn filename(&self) -> String {
        self.filename
            .clone()
            .unwrap_or_else(|| self.file.filename())
    }

    fn writable(&self) -> bool {
        self.writable
    }

    fn length(&self) -> Result<u64> {
        Ok(self.geometry.size())
    }

    fn request_alignment(&self) -> u64 {
        crate::base::iv_sector::SECTOR_SIZE as u64
    }

    fn read_at(&self, offset: GuestOffset, buffer: &mut [u8]) -> Result<()> {
        self.read(offset, buffer)
    }

    fn write_at(&self, offset: GuestOffset, data: &[u8]) -> Result<()> {
        self.write(offset, super::write::Data::Shared(data), None)
    }

    fn write_at_in_place(&self, offset: GuestOffset, data: &mut [u8]) -> Result<()> {
        self.write(offset, super::write::Data::Scratch(data), None)
    }

    fn write_in_turn(
        &self,
        offset: GuestOffset,
        data: &mut [u8],
        turn: &mut dyn Turn,
    ) -> Result<()> {
        self.write(offset, super::write::Data::Scratch(data), Some(turn))
    }

    fn write_compressed(&self, offset: GuestOffset, data: &[u8]) -> Result<()> {
        self.write_cluster_compressed(offset, data, None)
    }

    fn write_compressed_in_turn(
        &self,
        offset: GuestOffset,
        data: &[u8],
        turn: &mut dyn Turn,
    ) -> Result<()> {
        self.write_cluster_compressed(offset, data, Some(turn))
    }

    fn write_zeroes(&self, offset: GuestOffset, length: u64, flags: ZeroFlags) -> Result<()> {
        self.write_zero_bytes(offset, length, flags)
    }

    fn flush(&self) -> Result<()> {
        self.flush_write()?;
        // Seen by the next request only.
        self.file.debug_event(DebugEvent::FlushToDisk);
        Ok(())
    }

    fn flush_write(&self) -> Result<()> {
        self.file.debug_event(DebugEvent::FlushToOs);
        self.file.flush()
    }

    fn extent(&self, offset: GuestOffset, length: u64) -> Result<Extent> {
        let length = length.min(self.geometry.size().saturating_sub(offset.bytes()));
        if length == 0 {
            return Ok(Extent::default());
        }
        let mut extent = self.mapped_extent(offset, length)?;
        if !extent.allocated {
            extent.length = self.unallocated_extent(offset, extent.length, length)?;
        }
        Ok(extent)
    }

    fn info(&self) -> Result<ImageInfo> {
        Ok(ImageInfo {
            cluster_size: Some(self.geometry.cluster_size()),
            encrypted: self.encrypted,
            ..ImageInfo::default()
        })
    }

    fn file(&self) -> Option<SharedNode> {
        Some(self.file.node())
    }

    fn backing(&self) -> Option<SharedNode> {
        self.backing_node()
    }

    fn set_backing(&self, backing: Option<SharedNode>) -> Result<()> {
        *self.backing.write() = backing;
        Ok(())
    }

    fn backing_reference(&self) -> Option<BackingReference> {
        let name = self.backing_name.clone()?;
        // There is no field for the format (qcow1 §1).
        Some(BackingReference { name, format: None })
    }

    fn make_empty(&self) -> Result<()> {
        self.empty()
    }

    /// What it does with its file does not depend on its user.
    fn set_access(&self, _: Access) -> Result<()> {
        Ok(())
    }

    fn close(&self) -> Result<()> {
        let flushed = if self.writable {
            self.file.flush()
        } else {
            Ok(())
        };
        let backing = self.backing.write().take();
        let closed = backing.map_or(Ok(()), |node| node.close());
        flushed.and(closed).and(self.file.close())
    }
}
