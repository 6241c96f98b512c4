//! The image as a node.

use std::sync::atomic::Ordering;

use super::image::Qcow2;
use super::write::Payload;
use crate::base::{GuestOffset, Result};
use crate::node::{
    Access, AmendRequest, BackingReference, BitmapChange, BitmapInfo, CheckReport, DirtyBits,
    Extent, ImageInfo, Node, Preallocation, Repair, SharedNode, SnapshotInfo, SnapshotRequest,
    Turn, ZeroFlags,
};

impl Node for Qcow2 {
    fn driver(&self) -> &'static str {
        "qcow2"
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
        drop(self.metadata()?);
        Ok(self.size())
    }

    fn request_alignment(&self) -> u64 {
        if self.encryption_method.is_some() {
            512
        } else {
            1
        }
    }

    fn read_at(&self, offset: GuestOffset, buffer: &mut [u8]) -> Result<()> {
        self.read_disk(offset, buffer)
    }

    fn write_at(&self, offset: GuestOffset, data: &[u8]) -> Result<()> {
        self.write_disk(offset, Payload::Shared(data))
    }

    fn write_at_in_place(&self, offset: GuestOffset, data: &mut [u8]) -> Result<()> {
        self.write_disk(offset, Payload::Scratch(data))
    }

    fn write_in_turn(
        &self,
        offset: GuestOffset,
        data: &mut [u8],
        turn: &mut dyn Turn,
    ) -> Result<()> {
        self.write_disk_in_turn(offset, data, turn)
    }

    fn write_compressed(&self, offset: GuestOffset, data: &[u8]) -> Result<()> {
        self.write_compressed_disk(offset, data, None)
    }

    fn write_compressed_in_turn(
        &self,
        offset: GuestOffset,
        data: &[u8],
        turn: &mut dyn Turn,
    ) -> Result<()> {
        self.write_compressed_disk(offset, data, Some(turn))
    }

    fn write_zeroes(&self, offset: GuestOffset, length: u64, flags: ZeroFlags) -> Result<()> {
        self.write_zeroes_disk(offset, length, flags)
    }

    fn discard(&self, offset: GuestOffset, length: u64) -> Result<()> {
        self.discard_disk(offset, length)
    }

    fn flush(&self) -> Result<()> {
        if !self.writable {
            return Ok(());
        }
        self.flush_announced(true)
    }

    fn flush_write(&self) -> Result<()> {
        // The real tool sees nothing to flush yet while its first write is under way.
        self.flush_announced(self.written_before.swap(true, Ordering::AcqRel))
    }

    fn resize(&self, length: u64, preallocation: Preallocation) -> Result<()> {
        self.resize_disk(length, preallocation)
    }

    fn extent(&self, offset: GuestOffset, length: u64) -> Result<Extent> {
        self.extent_disk(offset, length)
    }

    fn file(&self) -> Option<SharedNode> {
        Some(self.file.node())
    }

    fn data_file(&self) -> Option<SharedNode> {
        self.geometry.external_data().then(|| self.data.node())
    }

    fn backing(&self) -> Option<SharedNode> {
        self.backing_node()
    }

    fn set_backing(&self, backing: Option<SharedNode>) -> Result<()> {
        *self.backing.write() = backing;
        Ok(())
    }

    fn backing_reference(&self) -> Option<BackingReference> {
        self.header_backing_reference()
    }

    fn check(&self, repair: Repair, report: &mut dyn FnMut(&str)) -> Result<CheckReport> {
        self.check_image(repair, report)
    }

    fn info(&self) -> Result<ImageInfo> {
        self.image_info()
    }

    fn change_backing_reference(&self, reference: Option<&BackingReference>) -> Result<()> {
        self.change_backing(reference)
    }

    fn amend(&self, request: &AmendRequest<'_>) -> Result<()> {
        self.amend_image(request)
    }

    fn make_empty(&self) -> Result<()> {
        self.empty_image()
    }

    fn snapshots(&self) -> Result<Vec<SnapshotInfo>> {
        self.list_snapshots()
    }

    fn snapshot_create(&self, request: &SnapshotRequest) -> Result<()> {
        self.create_snapshot(request)
    }

    fn snapshot_apply(&self, id_or_name: &str) -> Result<()> {
        self.apply_snapshot(id_or_name)
    }

    fn snapshot_delete(&self, id: Option<&str>, name: Option<&str>) -> Result<()> {
        self.delete_snapshot(id, name)
    }

    fn snapshot_load(&self, id: Option<&str>, name: Option<&str>) -> Result<()> {
        self.load_snapshot(id, name)
    }

    fn supports_bitmaps(&self) -> bool {
        self.metadata_even_if_dead().header.version >= 3
    }

    fn bitmaps(&self) -> Vec<BitmapInfo> {
        self.list_bitmaps()
    }

    fn bitmap_add(&self, name: &str, granularity: Option<u64>, enabled: bool) -> Result<()> {
        self.add_bitmap(name, granularity, enabled)
    }

    fn bitmap_remove(&self, name: &str) -> Result<()> {
        self.remove_bitmap(name)
    }

    fn bitmap_change(&self, name: &str, change: BitmapChange) -> Result<()> {
        self.change_bitmap(name, change)
    }

    fn bitmap_bits(&self, name: &str) -> Result<DirtyBits> {
        self.copy_bitmap(name)
    }

    fn bitmap_merge(&self, name: &str, bits: &DirtyBits) -> Result<()> {
        self.merge_bitmap(name, bits)
    }

    fn read_vm_state(&self, position: u64, buffer: &mut [u8]) -> Result<()> {
        self.read_vm_state_bytes(position, buffer)
    }

    fn write_vm_state(&self, position: u64, data: &[u8]) -> Result<()> {
        self.write_vm_state_bytes(position, data)
    }

    /// What it does with its file does not depend on its user.
    fn set_access(&self, _: Access) -> Result<()> {
        Ok(())
    }

    fn close(&self) -> Result<()> {
        self.close_image()
    }
}
