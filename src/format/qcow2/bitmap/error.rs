//! What is wrong with an image's bitmaps.

use crate::base::Error;
use crate::base::limits::{QCOW2_MAX_BITMAP_DIRECTORY_BYTES, QCOW2_MAX_BITMAPS};

/// Why bitmaps are refused; the words are the real tool's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what the variant means")]
pub enum BitmapError {
    #[error("bitmaps_ext: Invalid extension length")]
    ExtensionLength,
    #[error("bitmaps_ext: Reserved field is not zero")]
    ExtensionReserved,
    #[error(
        "bitmaps_ext: Image has {0} bitmaps, exceeding the QEMU supported maximum of {QCOW2_MAX_BITMAPS}"
    )]
    TooMany(u32),
    #[error("found bitmaps extension with zero bitmaps")]
    NoBitmaps,
    #[error("bitmaps_ext: invalid bitmap directory offset")]
    DirectoryOffset,
    #[error(
        "bitmaps_ext: bitmap directory size ({0}) exceeds the maximum supported size ({QCOW2_MAX_BITMAP_DIRECTORY_BYTES})"
    )]
    DirectoryTooLarge(u64),
    #[error("Requested bitmap directory size is zero")]
    DirectoryEmpty,
    #[error("Broken bitmap directory")]
    DirectoryBroken,
    #[error("More bitmaps found than specified in header extension")]
    MoreThanCounted,
    #[error("Less bitmaps found than specified in header extension")]
    FewerThanCounted,
    #[error("Bitmap extra data is not supported")]
    ExtraData,
    #[error("Bitmap '{0}' doesn't satisfy the constraints")]
    Constraints(String),
    #[error("Could not read bitmap_table table from image for bitmap '{0}': Invalid argument")]
    TableEntry(String),
    #[error("Could not read bitmap '{0}' from image: Invalid argument")]
    TableLength(String),
    #[error("Bitmap already exists: {0}")]
    Duplicate(String),
}

impl From<BitmapError> for Error {
    fn from(error: BitmapError) -> Self {
        Self::invalid(error.to_string()).with_source(error)
    }
}
