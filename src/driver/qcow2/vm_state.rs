//! VM state, stored like guest data behind the disk's end (qcow2 §6).

use super::image::Qcow2;
use super::write::Payload;
use crate::base::{GuestOffset, Result};
use crate::node::DebugEvent;

impl Qcow2 {
    fn vm_state_offset(&self, position: u64) -> Result<GuestOffset> {
        self.geometry.vm_state_start(self.size()).plus(position)
    }

    /// Reads VM state; what was never written is zeros.
    pub(super) fn read_vm_state_bytes(&self, position: u64, buffer: &mut [u8]) -> Result<()> {
        let offset = self.vm_state_offset(position)?;
        offset.plus(buffer.len() as u64)?;
        self.file.debug_event(DebugEvent::VmstateLoad);
        let _request = self.request();
        self.read_held(offset, buffer)
    }

    /// Writes VM state; the L1 table grows as needed.
    pub(super) fn write_vm_state_bytes(&self, position: u64, data: &[u8]) -> Result<()> {
        let offset = self.vm_state_offset(position)?;
        offset.plus(data.len() as u64)?;
        self.file.debug_event(DebugEvent::VmstateSave);
        self.write_anywhere(offset, Payload::Shared(data), None)
    }
}
