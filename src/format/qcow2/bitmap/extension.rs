//! The header extension that says where the bitmap directory is.

use super::error::BitmapError;
use crate::base::HostOffset;
use crate::base::bytes::Reader;
use crate::base::limits::{QCOW2_MAX_BITMAP_DIRECTORY_BYTES, QCOW2_MAX_BITMAPS};

/// Bytes of the extension's data.
const LENGTH: usize = 24;

/// Place and size of the bitmap directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitmapsExtension {
    /// Bitmaps in the directory.
    pub count: u32,
    /// Bytes of the directory.
    pub directory_bytes: u64,
    /// Cluster aligned.
    pub directory_offset: HostOffset,
}

impl BitmapsExtension {
    /// Refuses an extension of another length; that is seen even where its content is not trusted.
    pub const fn validate_length(data: &[u8]) -> Result<(), BitmapError> {
        if data.len() == LENGTH {
            Ok(())
        } else {
            Err(BitmapError::ExtensionLength)
        }
    }

    /// Reads the extension's data, in the real tool's order of checks.
    pub fn parse(data: &[u8], cluster_size: u64) -> Result<Self, BitmapError> {
        Self::validate_length(data)?;
        let mut reader = Reader::new(data);
        let wrong = |_| BitmapError::ExtensionLength;
        let count = reader.u32().map_err(wrong)?;
        let reserved = reader.u32().map_err(wrong)?;
        let directory_bytes = reader.u64().map_err(wrong)?;
        let directory_offset = HostOffset::new(reader.u64().map_err(wrong)?);
        if reserved != 0 {
            return Err(BitmapError::ExtensionReserved);
        }
        if count > QCOW2_MAX_BITMAPS {
            return Err(BitmapError::TooMany(count));
        }
        if count == 0 {
            return Err(BitmapError::NoBitmaps);
        }
        if !directory_offset.is_aligned(cluster_size) {
            return Err(BitmapError::DirectoryOffset);
        }
        if directory_bytes > QCOW2_MAX_BITMAP_DIRECTORY_BYTES {
            return Err(BitmapError::DirectoryTooLarge(directory_bytes));
        }
        Ok(Self {
            count,
            directory_bytes,
            directory_offset,
        })
    }

    /// The extension's data.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(LENGTH);
        out.extend(self.count.to_be_bytes());
        out.extend([0; 4]);
        out.extend(self.directory_bytes.to_be_bytes());
        out.extend(self.directory_offset.bytes().to_be_bytes());
        out
    }
}
