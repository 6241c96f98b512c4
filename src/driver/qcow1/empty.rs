//! Dropping everything that the image stores (after commit).

use super::image::Qcow1;
use crate::base::Result;
use crate::node::{Preallocation, ZeroFlags};

impl Qcow1 {
    /// Zeroes the L1 table, then cuts the file behind it (qcow1 §9).
    pub(super) fn empty(&self) -> Result<()> {
        self.check_writable()?;
        let _nobody_writes = self.changing.lock(0..u64::MAX);
        let _nobody_allocates = self.allocation.lock();
        let table = self.tables.l1_offset();
        let bytes = self.geometry.l1_bytes();
        self.file.write_zeroes(table, bytes, ZeroFlags::empty())?;
        self.file.flush()?;
        self.tables.clear();
        self.file
            .resize(table.plus(bytes)?.bytes(), Preallocation::Off)
    }
}
