//! A filter that keeps what it reads: clusters that come from the backing chain are written to the image on top.

use std::sync::Arc;

use crate::base::{GuestOffset, Result};
use crate::node::{
    Access, BackingReference, CheckReport, Extent, ImageInfo, Node, Preallocation, Repair,
    SharedNode, SnapshotInfo, SnapshotRequest, Turn, ZeroFlags,
};

/// Copied in one go when the format has no clusters.
const DEFAULT_CLUSTER: u64 = 65_536;
/// Bytes read and written at a time.
const MAX_COPY: u64 = 1 << 20;

/// Copy-on-read over an image; to its user it looks like that image.
pub struct CopyOnRead {
    inner: SharedNode,
    cluster: u64,
    /// The last layer that is copied from; the whole chain is when not given.
    bottom: Option<SharedNode>,
}

impl CopyOnRead {
    /// The filter over a writable image.
    pub fn new(inner: SharedNode) -> Result<Self> {
        let cluster = inner.info()?.cluster_size.unwrap_or(DEFAULT_CLUSTER);
        Ok(Self {
            inner,
            cluster,
            bottom: None,
        })
    }

    /// What only layers below `bottom` have is not copied.
    #[must_use]
    pub fn with_bottom(mut self, bottom: Option<SharedNode>) -> Self {
        self.bottom = bottom;
        self
    }

    /// Brings every cluster that `offset..offset+length` touches into the image.
    fn bring_in(&self, offset: GuestOffset, length: u64) -> Result<()> {
        let end = self
            .inner
            .length()?
            .min(offset.plus(length)?.bytes().next_multiple_of(self.cluster));
        let mut position = offset.align_down(self.cluster);
        while position.bytes() < end {
            let step = (end - position.bytes()).min(MAX_COPY.max(self.cluster));
            let extent = self.inner.extent(position, step)?;
            if extent.length == 0 {
                break;
            }
            let mut length = extent.length;
            if !extent.allocated {
                let copied;
                (copied, length) = self.is_copied(position, length)?;
                if copied {
                    self.copy(position, length)?;
                }
            }
            position = position.plus(length)?;
        }
        Ok(())
    }

    /// Whether what the top does not have is to be copied, and how far that holds.
    fn is_copied(&self, offset: GuestOffset, mut length: u64) -> Result<(bool, u64)> {
        let Some(bottom) = &self.bottom else {
            return Ok((true, length));
        };
        let mut layer = SharedNode::clone(&self.inner);
        while !Arc::ptr_eq(&layer, bottom) {
            let Some(below) = layer.backing() else {
                break;
            };
            layer = below;
            if offset.bytes() >= layer.length()? {
                continue;
            }
            let extent = layer.extent(offset, length)?;
            if extent.length == 0 {
                continue;
            }
            length = length.min(extent.length);
            if extent.allocated {
                return Ok((true, length));
            }
        }
        Ok((false, length))
    }

    fn copy(&self, offset: GuestOffset, length: u64) -> Result<()> {
        let bytes = usize::try_from(length)
            .map_err(|_| crate::base::Error::bare(crate::base::error::errno::EFBIG))?;
        let mut data = vec![0; bytes];
        self.inner.read_at(offset, &mut data)?;
        if data.iter().all(|byte| *byte == 0) {
            self.inner.write_zeroes(offset, length, ZeroFlags::empty())
        } else {
            self.inner.write_at_in_place(offset, &mut data)
        }
    }
}

impl Node for CopyOnRead {
    fn driver(&self) -> &'static str {
        self.inner.driver()
    }

    fn filename(&self) -> String {
        self.inner.filename()
    }

    fn writable(&self) -> bool {
        self.inner.writable()
    }

    fn length(&self) -> Result<u64> {
        self.inner.length()
    }

    fn request_alignment(&self) -> u64 {
        self.inner.request_alignment()
    }

    fn read_at(&self, offset: GuestOffset, buffer: &mut [u8]) -> Result<()> {
        self.bring_in(offset, buffer.len() as u64)?;
        self.inner.read_at(offset, buffer)
    }

    fn write_at(&self, offset: GuestOffset, data: &[u8]) -> Result<()> {
        self.inner.write_at(offset, data)
    }

    fn write_at_in_place(&self, offset: GuestOffset, data: &mut [u8]) -> Result<()> {
        self.inner.write_at_in_place(offset, data)
    }

    fn write_compressed(&self, offset: GuestOffset, data: &[u8]) -> Result<()> {
        self.inner.write_compressed(offset, data)
    }

    fn write_in_turn(
        &self,
        offset: GuestOffset,
        data: &mut [u8],
        turn: &mut dyn Turn,
    ) -> Result<()> {
        self.inner.write_in_turn(offset, data, turn)
    }

    fn write_compressed_in_turn(
        &self,
        offset: GuestOffset,
        data: &[u8],
        turn: &mut dyn Turn,
    ) -> Result<()> {
        self.inner.write_compressed_in_turn(offset, data, turn)
    }

    fn write_zeroes(&self, offset: GuestOffset, length: u64, flags: ZeroFlags) -> Result<()> {
        self.inner.write_zeroes(offset, length, flags)
    }

    fn discard(&self, offset: GuestOffset, length: u64) -> Result<()> {
        self.inner.discard(offset, length)
    }

    fn flush(&self) -> Result<()> {
        self.inner.flush()
    }

    fn resize(&self, length: u64, preallocation: Preallocation) -> Result<()> {
        self.inner.resize(length, preallocation)
    }

    fn extent(&self, offset: GuestOffset, length: u64) -> Result<Extent> {
        self.inner.extent(offset, length)
    }

    fn info(&self) -> Result<ImageInfo> {
        self.inner.info()
    }

    fn allocated_bytes(&self) -> Option<u64> {
        self.inner.allocated_bytes()
    }

    fn check(&self, repair: Repair, report: &mut dyn FnMut(&str)) -> Result<CheckReport> {
        self.inner.check(repair, report)
    }

    fn file(&self) -> Option<SharedNode> {
        self.inner.file()
    }

    fn backing(&self) -> Option<SharedNode> {
        self.inner.backing()
    }

    fn set_backing(&self, backing: Option<SharedNode>) -> Result<()> {
        self.inner.set_backing(backing)
    }

    fn backing_reference(&self) -> Option<BackingReference> {
        self.inner.backing_reference()
    }

    fn change_backing_reference(&self, reference: Option<&BackingReference>) -> Result<()> {
        self.inner.change_backing_reference(reference)
    }

    fn make_empty(&self) -> Result<()> {
        self.inner.make_empty()
    }

    fn snapshots(&self) -> Result<Vec<SnapshotInfo>> {
        self.inner.snapshots()
    }

    fn snapshot_create(&self, request: &SnapshotRequest) -> Result<()> {
        self.inner.snapshot_create(request)
    }

    fn snapshot_apply(&self, id_or_name: &str) -> Result<()> {
        self.inner.snapshot_apply(id_or_name)
    }

    fn snapshot_delete(&self, id: Option<&str>, name: Option<&str>) -> Result<()> {
        self.inner.snapshot_delete(id, name)
    }

    fn snapshot_load(&self, id: Option<&str>, name: Option<&str>) -> Result<()> {
        self.inner.snapshot_load(id, name)
    }

    fn read_vm_state(&self, position: u64, buffer: &mut [u8]) -> Result<()> {
        self.inner.read_vm_state(position, buffer)
    }

    fn write_vm_state(&self, position: u64, data: &[u8]) -> Result<()> {
        self.inner.write_vm_state(position, data)
    }

    fn set_access(&self, access: Access) -> Result<()> {
        self.inner.set_access(access)
    }

    fn close(&self) -> Result<()> {
        self.inner.close()
    }
}
