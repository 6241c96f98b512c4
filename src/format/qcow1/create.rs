//! The bytes of a new image (qcow1 §8).

use super::header::{HEADER_SIZE, Header};
use crate::base::HostOffset;
use crate::base::iv_sector::SECTOR_SIZE;
use crate::base::limits::QCOW1_MAX_L1_ENTRIES;

/// Why no image of that shape is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// Size 0.
    #[error("Image size is too small, cannot be zero length")]
    Empty,
    /// ours: the real tool wraps the L1 size to 32 bits and makes an image that can't be opened.
    #[error("Image too large")]
    TooLarge,
    /// ours: the real tool writes a name that its own open refuses.
    #[error("Backing file name too long")]
    BackingNameTooLong,
}

impl From<CreateError> for crate::base::Error {
    fn from(error: CreateError) -> Self {
        Self::caller(error.to_string()).with_source(error)
    }
}

/// A new image: the bytes in front of the L1 table, and how long the file is with the table's zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateLayout {
    /// Header and backing name.
    pub head: Vec<u8>,
    /// Where the L1 table starts.
    pub l1_table_offset: HostOffset,
    /// Length of the file.
    pub file_length: u64,
}

const fn round_up(value: u64, unit: u64) -> u64 {
    value.div_ceil(unit) * unit
}

impl CreateLayout {
    /// The layout for `size` bytes of guest disk.
    pub fn new(size: u64, backing: Option<&str>, encrypted: bool) -> Result<Self, CreateError> {
        if size == 0 {
            return Err(CreateError::Empty);
        }
        if size > i64::MAX as u64 {
            return Err(CreateError::TooLarge);
        }
        let (cluster_bits, l2_bits) = if backing.is_some() { (9, 12) } else { (12, 9) };
        // The name `fat:` chooses the small clusters and is not stored.
        let name = backing.filter(|name| *name != "fat:").unwrap_or_default();
        if name.len() > crate::base::limits::MAX_BACKING_NAME_BYTES as usize {
            return Err(CreateError::BackingNameTooLong);
        }
        let size = round_up(size, SECTOR_SIZE as u64);
        let l1_entries = size.div_ceil(1 << (cluster_bits + l2_bits));
        if l1_entries > QCOW1_MAX_L1_ENTRIES {
            return Err(CreateError::TooLarge);
        }
        let l1_table_offset = HostOffset::new(round_up((HEADER_SIZE + name.len()) as u64, 8));
        let header = Header {
            backing_name_offset: HostOffset::new(if name.is_empty() {
                0
            } else {
                HEADER_SIZE as u64
            }),
            backing_name_size: u32::try_from(name.len())
                .map_err(|_| CreateError::BackingNameTooLong)?,
            size,
            cluster_bits,
            l2_bits,
            crypt_method: u32::from(encrypted),
            l1_table_offset,
        };
        let mut head = header.to_bytes().to_vec();
        head.extend_from_slice(name.as_bytes());
        Ok(Self {
            head,
            l1_table_offset,
            file_length: l1_table_offset.bytes() + round_up(l1_entries * 8, SECTOR_SIZE as u64),
        })
    }
}

#[cfg(test)]
mod tests;
