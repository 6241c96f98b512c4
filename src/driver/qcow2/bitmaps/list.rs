//! The bitmaps of an open image.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::base::Error;
use crate::format::qcow2::bitmap::{BitmapFlags, DirectoryEntry};
use crate::node::{BitmapInfo, DirtyBits};

/// What a bitmap holds.
#[derive(Clone, Debug)]
pub(in crate::driver::qcow2) enum Content {
    /// Nothing that means anything: it was in use when the image was opened.
    Inconsistent,
    /// In the file; the image is open for reading.
    InFile,
    /// In memory; stored when the image is closed.
    Loaded(DirtyBits),
}

/// One bitmap.
#[derive(Clone, Debug)]
pub(in crate::driver::qcow2) struct Bitmap {
    pub(super) name: Vec<u8>,
    pub(super) granularity_bits: u32,
    pub(super) enabled: bool,
    pub(super) content: Content,
    /// Its entry in the directory of the file.
    pub(super) stored: Option<DirectoryEntry>,
}

impl Bitmap {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }

    pub(super) const fn is_inconsistent(&self) -> bool {
        matches!(self.content, Content::Inconsistent)
    }

    pub(super) fn refuse_inconsistent(&self) -> Result<(), Error> {
        if !self.is_inconsistent() {
            return Ok(());
        }
        Err(Error::caller(format!(
            "Bitmap '{}' is inconsistent and cannot be used",
            self.text()
        ))
        .with_hint("Try block-dirty-bitmap-remove to delete this bitmap from disk"))
    }

    fn info(&self) -> BitmapInfo {
        BitmapInfo {
            name: self.text(),
            granularity: 1 << self.granularity_bits,
            enabled: self.enabled,
            inconsistent: self.is_inconsistent(),
        }
    }
}

/// All of them, in the order of the directory.
#[derive(Debug, Default)]
pub(in crate::driver::qcow2) struct Bitmaps {
    pub(super) list: Vec<Bitmap>,
}

impl Bitmaps {
    /// Records a change of the disk.
    pub(super) fn mark(&mut self, offset: u64, length: u64) {
        for bitmap in &mut self.list {
            if let (true, Content::Loaded(bits)) = (bitmap.enabled, &mut bitmap.content) {
                bits.mark(offset, length);
            }
        }
    }

    /// Whether a write has to be recorded.
    pub(super) fn any_enabled(&self) -> bool {
        self.list
            .iter()
            .any(|bitmap| bitmap.enabled && matches!(bitmap.content, Content::Loaded(_)))
    }

    pub(super) fn infos(&self) -> Vec<BitmapInfo> {
        self.list.iter().map(Bitmap::info).collect()
    }

    /// The entries of the directory in the file: their name, flags and granularity.
    pub(in crate::driver::qcow2) fn stored(&self) -> impl Iterator<Item = &DirectoryEntry> {
        self.list.iter().filter_map(|bitmap| bitmap.stored.as_ref())
    }

    /// Refuses a change of the disk's length that an inconsistent bitmap can't follow.
    pub(in crate::driver::qcow2) fn check_resize(&self) -> Result<(), Error> {
        self.list.iter().try_for_each(Bitmap::refuse_inconsistent)
    }

    /// Follows the disk.
    pub(in crate::driver::qcow2) fn resize(&mut self, size: u64) {
        for bitmap in &mut self.list {
            if let Content::Loaded(bits) = &mut bitmap.content {
                bits.resize(size);
            }
        }
    }

    /// All entries of the file's directory are in use from now on.
    pub(super) fn set_in_use(&mut self) {
        for bitmap in &mut self.list {
            if let Some(stored) = &mut bitmap.stored {
                stored.flags |= BitmapFlags::IN_USE;
            }
        }
    }
}

/// Whether writes have to be recorded, without a lock.
#[derive(Debug, Default)]
pub(in crate::driver::qcow2) struct Recording(AtomicBool);

impl Recording {
    pub(super) fn is_on(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Looks anew which bitmaps are enabled.
    pub(in crate::driver::qcow2) fn refresh(&self, bitmaps: &Bitmaps) {
        self.0.store(bitmaps.any_enabled(), Ordering::Release);
    }
}
