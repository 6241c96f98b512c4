//! The header's fixed fields: parse, validate in the order of an open, encode (qcow2 §1, §5).

use bitflags::bitflags;

use super::extension::Extensions;
use super::feature_names::unknown_incompatible;
use crate::base::bytes::Reader;
use crate::base::{Error, HostOffset, limits};

/// `QFI\xfb`.
pub const MAGIC: u32 = 0x5146_49fb;
/// Bytes of a version 2 header.
pub const V2_HEADER_BYTES: u32 = 72;
/// Bytes of the shortest version 3 header that is accepted.
pub const V3_MIN_HEADER_BYTES: u32 = 104;
/// Bytes of the version 3 header that is written.
pub const V3_HEADER_BYTES: u32 = 112;

bitflags! {
    /// A reader that does not know one of these must not open the image.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct IncompatibleFeatures: u64 {
        /// Refcounts may be out of date (lazy refcounts).
        const DIRTY = 1;
        /// Metadata is known to be broken.
        const CORRUPT = 1 << 1;
        /// Data is in another file.
        const DATA_FILE = 1 << 2;
        /// The compression type is not deflate.
        const COMPRESSION_TYPE = 1 << 3;
        /// L2 entries with subclusters.
        const EXTENDED_L2 = 1 << 4;
    }

    /// A reader may ignore these.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct CompatibleFeatures: u64 {
        /// Refcounts may be updated late, under the dirty bit.
        const LAZY_REFCOUNTS = 1;
    }

    /// A writer that does not know one of these clears it.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct AutoclearFeatures: u64 {
        /// The bitmaps extension is up to date.
        const BITMAPS = 1;
        /// The data file is readable as a raw image.
        const DATA_FILE_RAW = 1 << 1;
    }
}

/// How compressed clusters are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CompressionType {
    /// Raw deflate.
    #[default]
    Zlib,
    /// Zstandard frames.
    Zstd,
}

/// Values of `crypt_method`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CryptMethod {
    /// Plain.
    #[default]
    None,
    /// Legacy AES.
    Aes,
    /// LUKS1 header inside the image.
    Luks,
    /// A number that nobody gave a meaning; refused late (qcow2 §5 row 21).
    Unknown(u32),
}

impl CryptMethod {
    const fn from_number(number: u32) -> Self {
        match number {
            0 => Self::None,
            1 => Self::Aes,
            2 => Self::Luks,
            other => Self::Unknown(other),
        }
    }

    /// The number in the header.
    pub const fn number(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Aes => 1,
            Self::Luks => 2,
            Self::Unknown(other) => other,
        }
    }
}

/// Why a header is refused; the words are the real tool's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what the variant means")]
pub enum HeaderError {
    #[error("Image is not in qcow2 format")]
    Magic,
    #[error("Unsupported qcow2 version {0}")]
    Version(u32),
    #[error("Unsupported cluster size: 2^{0}")]
    ClusterSize(u32),
    #[error("qcow2 header too short")]
    TooShort,
    #[error("qcow2 header exceeds cluster size")]
    ExceedsCluster,
    #[error("Invalid backing file offset")]
    BackingOffset,
    #[error("qcow2: unknown compression type: {0}")]
    CompressionType(u8),
    #[error("qcow2: Compression type incompatible feature bit must not be set")]
    CompressionBitSet,
    #[error("qcow2: Compression type incompatible feature bit must be set")]
    CompressionBitClear,
    #[error("Unsupported qcow2 feature(s): {0}")]
    UnknownFeatures(String),
    #[error("Unsupported subcluster size: {0}")]
    SubclusterSize(u64),
    #[error("Reference count entry width too large; may not exceed 64 bits")]
    RefcountOrder,
    #[error("Image does not contain a reference count table")]
    NoRefcountTable,
    #[error("{0} too large")]
    TableTooLarge(&'static str),
    #[error("{0} offset invalid")]
    TableOffset(&'static str),
    #[error("Image is too big")]
    ImageTooBig,
    #[error("Could not refresh total sector count: File too large")]
    DiskSize,
    #[error("L1 table is too small")]
    L1TooSmall,
    #[error("Backing file name too long")]
    BackingNameTooLong,
    #[error("No space left on device")]
    NoSpace,
}

impl From<HeaderError> for Error {
    fn from(error: HeaderError) -> Self {
        use crate::base::error::errno;
        let words = error.to_string();
        match error {
            HeaderError::Version(_)
            | HeaderError::UnknownFeatures(_)
            | HeaderError::CompressionType(_) => Self::unsupported(words),
            HeaderError::NoSpace => Self::bare(errno::ENOSPC),
            HeaderError::TableTooLarge(_) | HeaderError::ImageTooBig | HeaderError::DiskSize => {
                Self::invalid(words).with_errno(errno::EFBIG)
            }
            _ => Self::invalid(words),
        }
        .with_source(error)
    }
}

/// The fixed fields, in memory. Nothing here is trusted before the `validate_…` calls of an open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// 2 or 3.
    pub version: u32,
    /// Where the header says the backing file's name is; 0 without one.
    pub backing_offset: u64,
    /// Bytes of the backing file's name.
    pub backing_length: u32,
    /// 9..=21.
    pub cluster_bits: u32,
    /// Bytes of the disk, as stored: readers round down to a sector.
    pub size: u64,
    /// Encryption of the payload.
    pub crypt_method: CryptMethod,
    /// Entries of the active L1 table.
    pub l1_entries: u32,
    /// Where the active L1 table is.
    pub l1_offset: HostOffset,
    /// Where the refcount table is.
    pub refcount_table_offset: HostOffset,
    /// Clusters of the refcount table.
    pub refcount_table_clusters: u32,
    /// Internal snapshots.
    pub snapshot_count: u32,
    /// Where the snapshot table is.
    pub snapshots_offset: HostOffset,
    /// Incompatible feature bits.
    pub incompatible: IncompatibleFeatures,
    /// Compatible feature bits.
    pub compatible: CompatibleFeatures,
    /// Autoclear feature bits.
    pub autoclear: AutoclearFeatures,
    /// A refcount has `1 << refcount_order` bits.
    pub refcount_order: u32,
    /// Bytes of the header as stored; extensions follow.
    pub header_length: u32,
    /// The compression type's byte as stored.
    pub compression_byte: u8,
    /// Header bytes behind the fields known here, kept verbatim.
    pub unknown_tail: Vec<u8>,
}

/// What an open tolerates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tolerance {
    /// Opened by `check`: missing refcount table and bad snapshot table are findings, not errors.
    pub check: bool,
}

impl Header {
    /// Bytes of a cluster, from the first bytes of a file (qcow2 §5 rows 1–3): what to read for [`Header::parse`].
    pub fn cluster_size_of(start: &[u8]) -> Result<usize, HeaderError> {
        let mut reader = Reader::new(start);
        // A file that ends here reads as zeros (qcow2 §5).
        if reader.u32().unwrap_or(0) != MAGIC {
            return Err(HeaderError::Magic);
        }
        let version = reader.u32().unwrap_or(0);
        if !(2..=3).contains(&version) {
            return Err(HeaderError::Version(version));
        }
        let _backing = reader.take(12);
        let cluster_bits = reader.u32().unwrap_or(0);
        if !(limits::QCOW2_MIN_CLUSTER_BITS..=limits::QCOW2_MAX_CLUSTER_BITS)
            .contains(&cluster_bits)
        {
            return Err(HeaderError::ClusterSize(cluster_bits));
        }
        Ok(1 << cluster_bits)
    }

    /// The fields in the first cluster of a file (qcow2 §5 rows 1–6). Bytes missing at the end count as zeros.
    pub fn parse(first_cluster: &[u8]) -> Result<Self, HeaderError> {
        let cluster_size = Self::cluster_size_of(first_cluster)?;
        let mut fixed = [0; V3_HEADER_BYTES as usize];
        let available = first_cluster.len().min(fixed.len());
        fixed[..available].copy_from_slice(&first_cluster[..available]);
        let mut header = Self::read_fixed(&fixed);
        if header.version >= 3 && header.header_length < V3_MIN_HEADER_BYTES {
            return Err(HeaderError::TooShort);
        }
        if header.header_length as usize > cluster_size {
            return Err(HeaderError::ExceedsCluster);
        }
        if header.header_length > V3_HEADER_BYTES {
            let end = header.header_length as usize;
            let stored = first_cluster
                .get(fixed.len()..end.min(first_cluster.len()))
                .unwrap_or_default();
            header.unknown_tail = stored.to_vec();
            header.unknown_tail.resize(end - fixed.len(), 0);
        }
        if header.backing_offset > cluster_size as u64 {
            return Err(HeaderError::BackingOffset);
        }
        Ok(header)
    }

    /// Reads the 112 bytes; version 2 has fixed values for what its header does not hold.
    fn read_fixed(fixed: &[u8; V3_HEADER_BYTES as usize]) -> Self {
        let u32_at = |at: usize| {
            let mut word = [0; 4];
            word.copy_from_slice(&fixed[at..at + 4]);
            u32::from_be_bytes(word)
        };
        let u64_at = |at: usize| u64::from(u32_at(at)) << 32 | u64::from(u32_at(at + 4));
        let version = u32_at(4);
        let mut header = Self {
            version,
            backing_offset: u64_at(8),
            backing_length: u32_at(16),
            cluster_bits: u32_at(20),
            size: u64_at(24),
            crypt_method: CryptMethod::from_number(u32_at(32)),
            l1_entries: u32_at(36),
            l1_offset: HostOffset::new(u64_at(40)),
            refcount_table_offset: HostOffset::new(u64_at(48)),
            refcount_table_clusters: u32_at(56),
            snapshot_count: u32_at(60),
            snapshots_offset: HostOffset::new(u64_at(64)),
            incompatible: IncompatibleFeatures::empty(),
            compatible: CompatibleFeatures::empty(),
            autoclear: AutoclearFeatures::empty(),
            refcount_order: 4,
            header_length: V2_HEADER_BYTES,
            compression_byte: 0,
            unknown_tail: Vec::new(),
        };
        if version >= 3 {
            header.incompatible = IncompatibleFeatures::from_bits_retain(u64_at(72));
            header.compatible = CompatibleFeatures::from_bits_retain(u64_at(80));
            header.autoclear = AutoclearFeatures::from_bits_retain(u64_at(88));
            header.refcount_order = u32_at(96);
            header.header_length = u32_at(100);
            // errata 46: a header of 104 bytes has no compression type.
            if header.header_length > V3_MIN_HEADER_BYTES {
                header.compression_byte = fixed[104];
            }
        }
        header
    }

    /// Compression type and its feature bit (qcow2 §5 rows 7–8).
    pub fn validate_compression(&self) -> Result<CompressionType, HeaderError> {
        let flagged = self
            .incompatible
            .contains(IncompatibleFeatures::COMPRESSION_TYPE);
        match (self.compression_byte, flagged) {
            (0, false) => Ok(CompressionType::Zlib),
            (0, true) => Err(HeaderError::CompressionBitSet),
            (1, true) => Ok(CompressionType::Zstd),
            (1, false) => Err(HeaderError::CompressionBitClear),
            (other, _) => Err(HeaderError::CompressionType(other)),
        }
    }

    /// Unknown incompatible bits, named by the image's own feature name table (qcow2 §5 row 9).
    pub fn validate_features(&self, first_cluster: &[u8]) -> Result<(), HeaderError> {
        let unknown = self.incompatible.bits() & !IncompatibleFeatures::all().bits();
        if unknown == 0 {
            return Ok(());
        }
        let (extensions, _) = Extensions::parse(first_cluster, self);
        Err(HeaderError::UnknownFeatures(unknown_incompatible(
            unknown,
            &extensions.feature_names,
        )))
    }

    /// Subcluster size and refcount width (qcow2 §5 rows 11–12).
    pub const fn validate_units(&self) -> Result<(), HeaderError> {
        let subcluster = (1_u64 << self.cluster_bits) / 32;
        if self
            .incompatible
            .contains(IncompatibleFeatures::EXTENDED_L2)
            && subcluster < 512
        {
            return Err(HeaderError::SubclusterSize(subcluster));
        }
        if self.refcount_order > 6 {
            return Err(HeaderError::RefcountOrder);
        }
        Ok(())
    }

    /// Where the tables are and how long (qcow2 §5 rows 13–16).
    pub fn validate_tables(&self, tolerance: Tolerance) -> Result<(), HeaderError> {
        if self.refcount_table_clusters == 0 && !tolerance.check {
            return Err(HeaderError::NoRefcountTable);
        }
        let refcount_table_bytes = u64::from(self.refcount_table_clusters) << self.cluster_bits;
        self.validate_table(
            self.refcount_table_offset,
            refcount_table_bytes,
            limits::QCOW2_MAX_REFCOUNT_TABLE_BYTES,
            "Reference count table",
        )?;
        if !tolerance.check {
            // The table's entries have no fixed length: their shortest possible one gives the bound.
            self.validate_table(
                self.snapshots_offset,
                u64::from(self.snapshot_count) * SNAPSHOT_FIXED_BYTES,
                u64::from(limits::QCOW2_MAX_SNAPSHOTS) * SNAPSHOT_FIXED_BYTES,
                "Snapshot table",
            )?;
        }
        self.validate_table(
            self.l1_offset,
            u64::from(self.l1_entries) * 8,
            limits::QCOW2_MAX_L1_BYTES,
            "Active L1 table",
        )
    }

    /// One table: its length against a cap, its place against alignment and 2^63 (qcow2 §5 row 14).
    pub const fn validate_table(
        &self,
        offset: HostOffset,
        bytes: u64,
        cap: u64,
        name: &'static str,
    ) -> Result<(), HeaderError> {
        if bytes > cap {
            return Err(HeaderError::TableTooLarge(name));
        }
        // The file system's offsets are signed.
        if (i64::MAX as u64) - bytes < offset.bytes()
            || !offset.is_aligned(1_u64 << self.cluster_bits)
        {
            return Err(HeaderError::TableOffset(name));
        }
        Ok(())
    }

    /// The active L1 table is long enough for the disk (qcow2 §5 rows 17–18).
    pub const fn validate_l1_length(&self) -> Result<(), HeaderError> {
        // Sizes next to 2^64 wrap here in the real tool and are refused by [`Header::disk_size`].
        let per_table = self.bytes_per_l2_table();
        let needed = self.size.wrapping_add(per_table - 1) / per_table;
        if needed > i32::MAX as u64 {
            return Err(HeaderError::ImageTooBig);
        }
        if (self.l1_entries as u64) < needed {
            return Err(HeaderError::L1TooSmall);
        }
        Ok(())
    }

    /// Bytes of the disk: whole sectors, below 2^63 (qcow2 §5, end).
    pub const fn disk_size(&self) -> Result<u64, HeaderError> {
        if self.size > i64::MAX as u64 {
            return Err(HeaderError::DiskSize);
        }
        Ok(self.size / 512 * 512)
    }

    /// Guest bytes that one L2 table maps.
    const fn bytes_per_l2_table(&self) -> u64 {
        let entry_bits = if self
            .incompatible
            .contains(IncompatibleFeatures::EXTENDED_L2)
        {
            4
        } else {
            3
        };
        1_u64 << (2 * self.cluster_bits - entry_bits)
    }

    /// Where the backing file's name is in the first cluster (qcow2 §5 row 27).
    pub fn backing_name<'a>(
        &self,
        first_cluster: &'a [u8],
    ) -> Result<Option<&'a [u8]>, HeaderError> {
        if self.backing_offset == 0 {
            return Ok(None);
        }
        let room = (1_u64 << self.cluster_bits).saturating_sub(self.backing_offset);
        let length = u64::from(self.backing_length);
        if length > room.min(u64::from(limits::MAX_BACKING_NAME_BYTES)) {
            return Err(HeaderError::BackingNameTooLong);
        }
        let start = usize::try_from(self.backing_offset).unwrap_or(usize::MAX);
        let bytes = first_cluster.get(start..).unwrap_or_default();
        Ok(Some(
            bytes.get(..self.backing_length as usize).unwrap_or(bytes),
        ))
    }

    /// Position of the first extension.
    pub const fn extensions_start(&self) -> usize {
        self.header_length as usize
    }

    /// The fixed fields as written, `backing` being the name's place.
    pub(super) fn encode_fixed(&self, backing: Option<(u64, u32)>) -> Vec<u8> {
        let (backing_offset, backing_length) = backing.unwrap_or((0, 0));
        let mut out = Vec::with_capacity(V3_HEADER_BYTES as usize + self.unknown_tail.len());
        out.extend(MAGIC.to_be_bytes());
        out.extend(self.version.to_be_bytes());
        out.extend(backing_offset.to_be_bytes());
        out.extend(backing_length.to_be_bytes());
        out.extend(self.cluster_bits.to_be_bytes());
        out.extend(self.size.to_be_bytes());
        out.extend(self.crypt_method.number().to_be_bytes());
        out.extend(self.l1_entries.to_be_bytes());
        out.extend(self.l1_offset.bytes().to_be_bytes());
        out.extend(self.refcount_table_offset.bytes().to_be_bytes());
        out.extend(self.refcount_table_clusters.to_be_bytes());
        out.extend(self.snapshot_count.to_be_bytes());
        out.extend(self.snapshots_offset.bytes().to_be_bytes());
        if self.version >= 3 {
            out.extend(self.incompatible.bits().to_be_bytes());
            out.extend(self.compatible.bits().to_be_bytes());
            out.extend(self.autoclear.bits().to_be_bytes());
            out.extend(self.refcount_order.to_be_bytes());
            out.extend(self.written_length().to_be_bytes());
            out.push(self.compression_byte);
            out.extend([0; 7]);
            out.extend(&self.unknown_tail);
        }
        out
    }

    /// Header bytes after a rewrite: short headers grow to 112 (qcow2 §1).
    const fn written_length(&self) -> u32 {
        if self.version < 3 {
            V2_HEADER_BYTES
        } else if self.header_length > V3_HEADER_BYTES {
            self.header_length
        } else {
            V3_HEADER_BYTES
        }
    }
}

/// Fixed bytes of a snapshot table entry.
const SNAPSHOT_FIXED_BYTES: u64 = 40;

#[cfg(test)]
mod tests;
