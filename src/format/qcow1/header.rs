//! The 48 bytes at the start of the file (qcow1 §1) and the order in which they are refused (§5).

use super::geometry::Geometry;
use crate::base::bytes::{Reader, Truncated};
use crate::base::limits::{MAX_BACKING_NAME_BYTES, QCOW1_MAX_L1_ENTRIES};
use crate::base::{Error, HostOffset};

/// Bytes of the header.
pub const HEADER_SIZE: usize = 48;
/// "QFI\xfb", shared with qcow2.
pub const MAGIC: u32 = 0x5146_49fb;
/// The only version here.
pub const VERSION: u32 = 1;

/// A header that passed checks 1 to 5 of qcow1 §5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Where the backing file's name lies; 0 for none.
    pub backing_name_offset: HostOffset,
    /// Bytes of that name.
    pub backing_name_size: u32,
    /// Virtual size in bytes as stored: neither rounded nor checked against the address space.
    pub size: u64,
    /// log2 of the cluster size, 9 to 16.
    pub cluster_bits: u32,
    /// log2 of the number of entries of an L2 table, 6 to 13.
    pub l2_bits: u32,
    /// 0 none, 1 AES; see [`Header::crypt`].
    pub crypt_method: u32,
    /// Where the L1 table lies; any byte offset.
    pub l1_table_offset: HostOffset,
}

/// How the payload is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crypt {
    /// As it is.
    None,
    /// AES-128-CBC, sector numbers of the guest.
    Aes,
}

/// Why a header is refused, in the real tool's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Check 1.
    #[error("Image not in qcow format")]
    Magic,
    /// Check 2.
    #[error("qcow (v1) does not support qcow version {0}")]
    Version(u32),
    /// Check 3.
    #[error("Image size is too small (must be at least 2 bytes)")]
    TooSmall,
    /// Check 4.
    #[error("Cluster size must be between 512 and 64k")]
    ClusterSize,
    /// Check 5.
    #[error("L2 table size must be between 512 and 64k")]
    L2Size,
    /// Check 6.
    #[error("Header reported 'aes' encryption format but options specify '{0}'")]
    OtherEncryption(String),
    /// Check 9.
    #[error("invalid encryption method in qcow header")]
    EncryptionMethod,
    /// Check 10.
    #[error("No encryption in image header, but options specified format '{0}'")]
    NoEncryption(String),
    /// Check 11.
    #[error("Image too large")]
    TooLarge,
    /// Check 13.
    #[error("Backing file name too long")]
    BackingNameTooLong,
}

impl From<HeaderError> for Error {
    fn from(error: HeaderError) -> Self {
        let words = error.to_string();
        let converted = match &error {
            HeaderError::Version(2 | 3) => {
                Self::unsupported(words).with_hint("Try the 'qcow2' driver instead.")
            }
            HeaderError::Version(_) => Self::unsupported(words),
            HeaderError::OtherEncryption(_) | HeaderError::NoEncryption(_) => Self::caller(words),
            _ => Self::invalid(words),
        };
        converted.with_source(error)
    }
}

/// The fields in file order: fixed, so the only failure is a short slice, which reads as zeros.
struct Raw {
    magic: u32,
    version: u32,
    header: Header,
}

fn read(bytes: &[u8; HEADER_SIZE]) -> Result<Raw, Truncated> {
    let mut reader = Reader::new(bytes);
    let magic = reader.u32()?;
    let version = reader.u32()?;
    let backing_name_offset = HostOffset::new(reader.u64()?);
    let backing_name_size = reader.u32()?;
    let _mtime = reader.u32()?;
    let size = reader.u64()?;
    let cluster_bits = u32::from(reader.u8()?);
    let l2_bits = u32::from(reader.u8()?);
    let _padding = reader.u16()?;
    let crypt_method = reader.u32()?;
    let l1_table_offset = HostOffset::new(reader.u64()?);
    Ok(Raw {
        magic,
        version,
        header: Header {
            backing_name_offset,
            backing_name_size,
            size,
            cluster_bits,
            l2_bits,
            crypt_method,
            l1_table_offset,
        },
    })
}

impl Header {
    /// Reads and validates up to check 5. What depends on the caller's options comes later:
    /// [`Header::crypt`], then [`Header::geometry`], then [`Header::backing_name_length`].
    pub fn parse(bytes: &[u8; HEADER_SIZE]) -> Result<Self, HeaderError> {
        let raw = read(bytes).map_err(|Truncated| HeaderError::Magic)?;
        if raw.magic != MAGIC {
            return Err(HeaderError::Magic);
        }
        if raw.version != VERSION {
            return Err(HeaderError::Version(raw.version));
        }
        let header = raw.header;
        if header.size <= 1 {
            return Err(HeaderError::TooSmall);
        }
        if !(9..=16).contains(&header.cluster_bits) {
            return Err(HeaderError::ClusterSize);
        }
        if !(6..=13).contains(&header.l2_bits) {
            return Err(HeaderError::L2Size);
        }
        Ok(header)
    }

    /// Checks 6, 9 and 10: the header's encryption against the option `encrypt.format`.
    pub fn crypt(&self, requested: Option<&str>) -> Result<Crypt, HeaderError> {
        match (self.crypt_method, requested) {
            (0, None) => Ok(Crypt::None),
            (0, Some(format)) => Err(HeaderError::NoEncryption(format.to_owned())),
            (1, None | Some("aes")) => Ok(Crypt::Aes),
            (1, Some(format)) => Err(HeaderError::OtherEncryption(format.to_owned())),
            _ => Err(HeaderError::EncryptionMethod),
        }
    }

    /// Check 11: the geometry, when the L1 table has a size that can exist.
    pub fn geometry(&self) -> Result<Geometry, HeaderError> {
        let covered = 1u64 << (self.cluster_bits + self.l2_bits);
        let rounded = self
            .size
            .checked_add(covered)
            .ok_or(HeaderError::TooLarge)?
            - 1;
        let l1_entries = rounded >> (self.cluster_bits + self.l2_bits);
        if l1_entries > QCOW1_MAX_L1_ENTRIES {
            return Err(HeaderError::TooLarge);
        }
        Ok(Geometry::new(
            self.cluster_bits,
            self.l2_bits,
            l1_entries,
            self.size,
        ))
    }

    /// Check 13: bytes of the backing file's name, 0 when there is none.
    pub fn backing_name_length(&self) -> Result<usize, HeaderError> {
        if self.backing_name_offset == HostOffset::ZERO {
            return Ok(0);
        }
        if self.backing_name_size > MAX_BACKING_NAME_BYTES {
            return Err(HeaderError::BackingNameTooLong);
        }
        usize::try_from(self.backing_name_size).map_err(|_| HeaderError::BackingNameTooLong)
    }

    /// The header's bytes.
    pub fn to_bytes(&self) -> [u8; HEADER_SIZE] {
        let mut bytes = [0; HEADER_SIZE];
        let bits = [
            u8::try_from(self.cluster_bits).unwrap_or(u8::MAX),
            u8::try_from(self.l2_bits).unwrap_or(u8::MAX),
        ];
        let fields: [(usize, &[u8]); 8] = [
            (0, &MAGIC.to_be_bytes()),
            (4, &VERSION.to_be_bytes()),
            (8, &self.backing_name_offset.bytes().to_be_bytes()),
            (16, &self.backing_name_size.to_be_bytes()),
            (24, &self.size.to_be_bytes()),
            (32, &bits),
            (36, &self.crypt_method.to_be_bytes()),
            (40, &self.l1_table_offset.bytes().to_be_bytes()),
        ];
        for (start, field) in fields {
            bytes[start..start + field.len()].copy_from_slice(field);
        }
        bytes
    }
}

/// True when the first bytes of a file are those of a qcow v1 image (qcow1 §2).
pub fn probe(start: &[u8]) -> bool {
    let mut reader = Reader::new(start);
    reader.u32() == Ok(MAGIC) && reader.u32() == Ok(VERSION)
}

#[cfg(test)]
mod tests;
