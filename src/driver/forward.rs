//! What a filter hands down to the node below it as it is: methods of `Node` by groups, for `self.inner`.

/// Facts, maintenance and everything else that moves no guest data.
macro_rules! forward_facts {
    () => {
        fn request_alignment(&self) -> u64 {
            self.inner.request_alignment()
        }
        fn close(&self) -> Result<()> {
            self.inner.close()
        }
        $crate::driver::forward::forward_facts!(@tree);
    };
    (@tree) => {
        fn writable(&self) -> bool {
            self.inner.writable()
        }
        fn length(&self) -> Result<u64> {
            self.inner.length()
        }
        fn allocated_bytes(&self) -> Option<u64> {
            self.inner.allocated_bytes()
        }
        fn check(
            &self,
            repair: $crate::node::Repair,
            report: &mut dyn FnMut(&str),
        ) -> Result<$crate::node::CheckReport> {
            self.inner.check(repair, report)
        }
        fn data_file(&self) -> Option<$crate::node::SharedNode> {
            self.inner.data_file()
        }
        fn backing(&self) -> Option<$crate::node::SharedNode> {
            self.inner.backing()
        }
        fn set_backing(&self, backing: Option<$crate::node::SharedNode>) -> Result<()> {
            self.inner.set_backing(backing)
        }
        fn backing_reference(&self) -> Option<$crate::node::BackingReference> {
            self.inner.backing_reference()
        }
        fn change_backing_reference(
            &self,
            reference: Option<&$crate::node::BackingReference>,
        ) -> Result<()> {
            self.inner.change_backing_reference(reference)
        }
        fn make_empty(&self) -> Result<()> {
            self.inner.make_empty()
        }
        fn snapshots(&self) -> Result<Vec<$crate::node::SnapshotInfo>> {
            self.inner.snapshots()
        }
        fn snapshot_create(&self, request: &$crate::node::SnapshotRequest) -> Result<()> {
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
        fn amend(&self, request: &$crate::node::AmendRequest<'_>) -> Result<()> {
            self.inner.amend(request)
        }
        fn supports_bitmaps(&self) -> bool {
            self.inner.supports_bitmaps()
        }
        fn bitmaps(&self) -> Vec<$crate::node::BitmapInfo> {
            self.inner.bitmaps()
        }
        fn bitmap_add(&self, name: &str, granularity: Option<u64>, enabled: bool) -> Result<()> {
            self.inner.bitmap_add(name, granularity, enabled)
        }
        fn bitmap_remove(&self, name: &str) -> Result<()> {
            self.inner.bitmap_remove(name)
        }
        fn bitmap_change(&self, name: &str, change: $crate::node::BitmapChange) -> Result<()> {
            self.inner.bitmap_change(name, change)
        }
        fn bitmap_bits(&self, name: &str) -> Result<$crate::node::DirtyBits> {
            self.inner.bitmap_bits(name)
        }
        fn bitmap_merge(&self, name: &str, bits: &$crate::node::DirtyBits) -> Result<()> {
            self.inner.bitmap_merge(name, bits)
        }
        fn set_access(&self, access: $crate::node::Access) -> Result<()> {
            self.inner.set_access(access)
        }
        fn debug_event(&self, event: $crate::node::DebugEvent) {
            self.inner.debug_event(event);
        }
        fn breakpoints(&self) -> Option<std::sync::Arc<dyn $crate::node::Breakpoints>> {
            self.inner.breakpoints()
        }
    };
}

/// The name and the facts, for filters that don't show.
macro_rules! forward_name {
    () => {
        fn filename(&self) -> String {
            self.inner.filename()
        }
        fn info(&self) -> Result<$crate::node::ImageInfo> {
            self.inner.info()
        }
    };
}

/// Reads.
macro_rules! forward_reads {
    () => {
        fn read_at(&self, offset: GuestOffset, buffer: &mut [u8]) -> Result<()> {
            self.inner.read_at(offset, buffer)
        }
        fn extent(&self, offset: GuestOffset, length: u64) -> Result<$crate::node::Extent> {
            self.inner.extent(offset, length)
        }
        fn read_vm_state(&self, position: u64, buffer: &mut [u8]) -> Result<()> {
            self.inner.read_vm_state(position, buffer)
        }
    };
}

/// Zero writes, discards, flushes, resizes.
macro_rules! forward_changes {
    () => {
        fn discard(&self, offset: GuestOffset, length: u64) -> Result<()> {
            self.inner.discard(offset, length)
        }
        fn flush(&self) -> Result<()> {
            self.inner.flush()
        }
        fn resize(&self, length: u64, preallocation: $crate::node::Preallocation) -> Result<()> {
            self.inner.resize(length, preallocation)
        }
    };
}

/// Writes of data that a filter does not look at.
macro_rules! forward_writes {
    () => {
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
            turn: &mut dyn $crate::node::Turn,
        ) -> Result<()> {
            self.inner.write_in_turn(offset, data, turn)
        }
        fn write_compressed_in_turn(
            &self,
            offset: GuestOffset,
            data: &[u8],
            turn: &mut dyn $crate::node::Turn,
        ) -> Result<()> {
            self.inner.write_compressed_in_turn(offset, data, turn)
        }
        fn write_vm_state(&self, position: u64, data: &[u8]) -> Result<()> {
            self.inner.write_vm_state(position, data)
        }
        fn write_zeroes(
            &self,
            offset: GuestOffset,
            length: u64,
            flags: $crate::node::ZeroFlags,
        ) -> Result<()> {
            self.inner.write_zeroes(offset, length, flags)
        }
    };
}

pub(crate) use {forward_changes, forward_facts, forward_name, forward_reads, forward_writes};
