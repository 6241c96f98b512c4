//! A new image, byte for byte the real tool's (qcow2 §8–10).

use crate::base::error::errno;
use crate::base::{Error, HostOffset, Result, limits};
use crate::crypto::secret::Secret;
use crate::driver::luks::{self, LuksCreateOptions};
use crate::driver::run_writer::RunWriter;
use crate::format::qcow2::Geometry;
use crate::format::qcow2::extension::{CryptoHeader, Extensions, encode_first_cluster};
use crate::format::qcow2::header::{
    AutoclearFeatures, CompatibleFeatures, CompressionType, CryptMethod, Header, HeaderError,
    IncompatibleFeatures, V2_HEADER_BYTES, V3_HEADER_BYTES,
};
use crate::format::qcow2::layout::{Layout, LayoutRequest, Reserve};
use crate::node::{HostFile, Preallocation};

/// How the payload of a new image is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Qcow2Encryption {
    /// Not at all.
    #[default]
    None,
    /// Legacy AES.
    Aes,
    /// LUKS1, its header in the image.
    Luks(LuksCreateOptions),
}

/// What `create` is told about an image. `Default` is the real tool's, but for the size.
#[derive(Clone, Debug)]
pub struct Qcow2CreateOptions {
    /// Bytes of the disk; rounded up to a sector.
    pub size: u64,
    /// 2 (`compat=0.10`) or 3.
    pub version: u32,
    /// Bytes of a cluster.
    pub cluster_size: u64,
    /// Bits of a refcount.
    pub refcount_bits: u64,
    /// Name of the backing file.
    pub backing_file: Option<String>,
    /// Format of the backing file.
    pub backing_format: Option<String>,
    /// What is reserved.
    pub preallocation: Preallocation,
    /// Refcounts may be written late.
    pub lazy_refcounts: bool,
    /// How compressed clusters are stored.
    pub compression_type: CompressionType,
    /// L2 entries with subclusters.
    pub extended_l2: bool,
    /// Name of the external data file.
    pub data_file: Option<String>,
    /// The external data file is a raw image.
    pub data_file_raw: bool,
    /// Encryption.
    pub encryption: Qcow2Encryption,
}

impl Default for Qcow2CreateOptions {
    fn default() -> Self {
        Self {
            size: 0,
            version: 3,
            cluster_size: 65_536,
            refcount_bits: 16,
            backing_file: None,
            backing_format: None,
            preallocation: Preallocation::Off,
            lazy_refcounts: false,
            compression_type: CompressionType::Zlib,
            extended_l2: false,
            data_file: None,
            data_file_raw: false,
            encryption: Qcow2Encryption::None,
        }
    }
}

/// Gives the passphrase, or the words for why there is none. Asked last, as the real tool does.
pub type KeySource<'a> = &'a dyn Fn() -> Result<Secret>;

/// Writes a new image over whatever `file` holds. On an error the caller removes the file.
pub fn create(file: &HostFile, options: &Qcow2CreateOptions, key: KeySource<'_>) -> Result<()> {
    create_with_data(file, None, options, key)
}

/// The same for an image whose options name an external data file: it is `data`, and empty.
pub fn create_with_data(
    file: &HostFile,
    data: Option<&HostFile>,
    options: &Qcow2CreateOptions,
    key: KeySource<'_>,
) -> Result<()> {
    let geometry = options
        .validate()?
        .with_external_data(options.data_file.is_some());
    if data.is_none() && options.data_file.is_some() {
        return Err(Error::caller("'data-file' is required for this image"));
    }
    let size = options
        .size
        .checked_next_multiple_of(512)
        .ok_or_else(|| Error::bare(errno::EFBIG))?;
    let crypto_bytes = match &options.encryption {
        Qcow2Encryption::Luks(luks) => Some(luks::plan_volume(luks)),
        _ => None,
    };
    let layout = Layout::plan(&LayoutRequest {
        geometry,
        size,
        reserve: match options.preallocation {
            Preallocation::Off if options.data_file_raw => Reserve::Metadata,
            Preallocation::Off => Reserve::Nothing,
            Preallocation::Metadata => Reserve::Metadata,
            Preallocation::Falloc | Preallocation::Full => Reserve::Data,
        },
        crypto_bytes: crypto_bytes
            .as_ref()
            .and_then(|bytes| bytes.as_ref().ok().copied()),
    })?;
    let mut image = options.first_cluster(&geometry, size, &layout)?;
    let crypto_bytes = crypto_bytes.transpose()?;
    let key = match options.encryption {
        Qcow2Encryption::None => None,
        _ => Some(key()?),
    };
    if let (Some(length), Some(first)) = (crypto_bytes, layout.crypto) {
        let offset = layout.offset(first);
        image.extensions.crypto = Some(CryptoHeader { offset, length });
    }
    let first_cluster = image
        .encode()
        .map_err(|error| Error::from(error).prefixed("Could not write encryption header: "))?;
    if let Some(data) = data {
        let mapped = !layout.data.is_empty();
        grow_data_file(data, size, &geometry, mapped, options.preallocation)
            .map_err(|error| error.prefixed("Could not resize image: "))?;
    }
    reserve(file, &layout, options.preallocation)?;
    write_tables(file, &geometry, &layout)?;
    if options.preallocation == Preallocation::Metadata && data.is_none() {
        write_tail(file, &geometry, &layout, size)?;
    }
    file.write_at(HostOffset::ZERO, &first_cluster)
        .map_err(|error| error.prefixed("Could not write qcow2 header: "))?;
    lengthen(file, layout.length)?;
    if let (Qcow2Encryption::Luks(luks), Some(key), Some(first)) =
        (&options.encryption, key, layout.crypto)
    {
        write_volume(file, luks, &key, layout.offset(first))?;
    }
    file.flush()
}

fn write_volume(
    file: &HostFile,
    luks: &LuksCreateOptions,
    key: &Secret,
    start: HostOffset,
) -> Result<()> {
    luks::create_volume(luks, key, None, &mut |offset, data| {
        file.write_at(start.plus(offset)?, data)
            .map_err(|error| error.prefixed("Could not write encryption header: "))
    })?;
    Ok(())
}

/// Lets the data file hold `size` bytes. Where its clusters are mapped the last unit is whole, its tail written as
/// zeros; a file that is long enough by then is not reserved.
pub(super) fn grow_data_file(
    data: &HostFile,
    size: u64,
    geometry: &Geometry,
    mapped: bool,
    how: Preallocation,
) -> Result<()> {
    let tail = size.next_multiple_of(geometry.subcluster_size()) - size;
    if mapped && tail > 0 {
        // Less than a cluster, 2 MiB.
        let zeros = vec![0; usize::try_from(tail).unwrap_or(0)];
        data.write_at(HostOffset::new(size), &zeros)?;
    }
    if data.length()? >= size {
        return Ok(());
    }
    data.resize(size, how.of_a_file())
}

/// An empty file, or one with the space that is reserved for guest clusters.
fn reserve(file: &HostFile, layout: &Layout, how: Preallocation) -> Result<()> {
    file.resize(0, Preallocation::Off)?;
    if layout.reserved.is_empty() {
        return Ok(());
    }
    let [start, end] =
        [layout.reserved.start, layout.reserved.end].map(|cluster| layout.offset(cluster).bytes());
    file.resize(start, Preallocation::Off)?;
    file.resize(end, how).map_err(|error| {
        error.prefixed("Could not resize image: Failed to resize underlying file: ")
    })
}

fn lengthen(file: &HostFile, length: u64) -> Result<()> {
    if file.length()? >= length {
        return Ok(());
    }
    file.resize(length, Preallocation::Off)
        .map_err(|error| error.prefixed("Could not resize image: "))
}

/// What the last preallocated cluster has behind the disk's end is written, the rest of it is not.
fn write_tail(file: &HostFile, geometry: &Geometry, layout: &Layout, size: u64) -> Result<()> {
    let tail = size.next_multiple_of(geometry.subcluster_size()) - size;
    let Some(last) = layout.data.last().filter(|_| tail > 0) else {
        return Ok(());
    };
    let cluster = layout.offset((last.host + last.count).saturating_sub(1));
    // Less than a cluster, 2 MiB.
    let zeros = vec![0; usize::try_from(tail).unwrap_or(0)];
    file.write_at(cluster.plus(size % geometry.cluster_size())?, &zeros)
}

/// What the first cluster says.
struct FirstCluster<'a> {
    header: Header,
    extensions: Extensions,
    backing_name: Option<&'a [u8]>,
}

impl FirstCluster<'_> {
    fn encode(&self) -> std::result::Result<Vec<u8>, HeaderError> {
        encode_first_cluster(&self.header, &self.extensions, self.backing_name)
    }
}

/// Everything behind the first cluster.
fn write_tables(file: &HostFile, geometry: &Geometry, layout: &Layout) -> Result<()> {
    put_tables(file, geometry, layout).map_err(|error| {
        error.prefixed(if layout.data.is_empty() {
            "Could not write refcount table: "
        } else {
            "Could not resize image: Allocating clusters failed: "
        })
    })
}

fn put_tables(file: &HostFile, geometry: &Geometry, layout: &Layout) -> Result<()> {
    let mut writer = RunWriter::new(file);
    for stale in layout.stale_tables() {
        let mut bytes = layout.encode_clusters(&stale.blocks);
        bytes.resize(bytes.len().next_multiple_of(geometry.cluster_bytes()), 0);
        writer.write(layout.offset(stale.first), &bytes)?;
    }
    let table = layout.refcount_table();
    let mut bytes = layout.encode_clusters(layout.refcount_blocks());
    let table_bytes = (table.end - table.start) * geometry.cluster_size();
    bytes.resize(
        usize::try_from(table_bytes).map_err(|_| Error::bare(errno::EFBIG))?,
        0,
    );
    writer.write(layout.offset(table.start), &bytes)?;
    for (index, &block) in (0..).zip(layout.refcount_blocks()) {
        if block != 0 {
            writer.write(layout.offset(block), &layout.encode_refcount_block(index))?;
        }
    }
    if layout.l1_entries > 0 {
        writer.write(layout.offset(layout.l1), &layout.encode_l1())?;
    }
    layout.encode_l2_tables(|table, bytes| writer.write(layout.offset(table), bytes))?;
    writer.finish()
}

impl Qcow2CreateOptions {
    /// The options against each other, in the real tool's order (found by giving it two faults at a time).
    fn validate(&self) -> Result<Geometry> {
        const LEVEL: &str = "with compatibility level 1.1 and above (use version=v3 or greater)";
        let refuse = |words: String| Err(Error::caller(words));
        if self.extended_l2 && self.version < 3 {
            return refuse(format!("Extended L2 entries are only supported {LEVEL}"));
        }
        let smallest = 1 << limits::QCOW2_MIN_CLUSTER_BITS;
        let largest = 1 << limits::QCOW2_MAX_CLUSTER_BITS;
        if !self.cluster_size.is_power_of_two()
            || !(smallest..=largest).contains(&self.cluster_size)
        {
            return refuse(format!(
                "Cluster size must be a power of two between {smallest} and {}k",
                largest / 1024
            ));
        }
        if self.extended_l2 && self.cluster_size < 16_384 {
            return refuse(
                "Extended L2 entries are only supported with cluster sizes of at least 16384 bytes"
                    .to_owned(),
            );
        }
        let backed = self.backing_file.is_some();
        if backed && self.preallocation != Preallocation::Off && !self.extended_l2 {
            return refuse(
                "Backing file and preallocation can only be used at the same time if extended_l2 is on"
                    .to_owned(),
            );
        }
        if !backed && self.backing_format.is_some() {
            return refuse("Backing format cannot be used without backing file".to_owned());
        }
        if self.lazy_refcounts && self.version < 3 {
            return refuse(format!("Lazy refcounts only supported {LEVEL}"));
        }
        if !self.refcount_bits.is_power_of_two() || self.refcount_bits > 64 {
            return refuse(
                "Refcount width must be a power of two and may not exceed 64 bits".to_owned(),
            );
        }
        if self.refcount_bits != 16 && self.version < 3 {
            return refuse(
                "Different refcount widths than 16 bits require compatibility level 1.1 or above \
                 (use version=v3 or greater)"
                    .to_owned(),
            );
        }
        self.validate_data_file()?;
        if self.compression_type != CompressionType::Zlib && self.version < 3 {
            return refuse(format!(
                "Non-zlib compression type is only supported {LEVEL}"
            ));
        }
        Geometry::new(
            self.cluster_size.trailing_zeros(),
            self.refcount_bits.trailing_zeros(),
            self.extended_l2,
        )
        .ok_or_else(|| Error::bare(errno::EINVAL))
    }

    fn validate_data_file(&self) -> Result<()> {
        if self.data_file_raw && self.data_file.is_none() {
            return Err(Error::caller("data-file-raw requires data-file"));
        }
        if self.data_file_raw && self.backing_file.is_some() {
            return Err(Error::caller(
                "Backing file and data-file-raw cannot be used at the same time",
            ));
        }
        if self.data_file.is_some() && self.version < 3 {
            return Err(Error::caller(
                "External data files are only supported with compatibility level 1.1 and above \
                 (use version=v3 or greater)",
            ));
        }
        Ok(())
    }

    /// Header, extensions and backing name.
    fn first_cluster(
        &self,
        geometry: &Geometry,
        size: u64,
        layout: &Layout,
    ) -> Result<FirstCluster<'_>> {
        let mut incompatible = IncompatibleFeatures::empty();
        let mut compatible = CompatibleFeatures::empty();
        let zstd = self.compression_type == CompressionType::Zstd;
        incompatible.set(IncompatibleFeatures::COMPRESSION_TYPE, zstd);
        incompatible.set(IncompatibleFeatures::DATA_FILE, self.data_file.is_some());
        incompatible.set(IncompatibleFeatures::EXTENDED_L2, self.extended_l2);
        let mut autoclear = AutoclearFeatures::empty();
        autoclear.set(AutoclearFeatures::DATA_FILE_RAW, self.data_file_raw);
        compatible.set(CompatibleFeatures::LAZY_REFCOUNTS, self.lazy_refcounts);
        let table = layout.refcount_table();
        let too_large = |_| Error::bare(errno::EFBIG);
        let header = Header {
            version: self.version,
            cluster_bits: geometry.cluster_bits(),
            size,
            crypt_method: match self.encryption {
                Qcow2Encryption::None => CryptMethod::None,
                Qcow2Encryption::Aes => CryptMethod::Aes,
                Qcow2Encryption::Luks(_) => CryptMethod::Luks,
            },
            l1_entries: u32::try_from(layout.l1_entries).map_err(too_large)?,
            l1_offset: layout.offset(layout.l1),
            refcount_table_offset: layout.offset(table.start),
            refcount_table_clusters: u32::try_from(table.end - table.start).map_err(too_large)?,
            incompatible,
            compatible,
            autoclear,
            refcount_order: geometry.refcount_order(),
            header_length: if self.version < 3 {
                V2_HEADER_BYTES
            } else {
                V3_HEADER_BYTES
            },
            compression_byte: zstd.into(),
            ..Header::default()
        };
        let extensions = Extensions {
            backing_format: self.backing_format.as_ref().map(|f| f.as_bytes().to_vec()),
            data_file: self.data_file.as_ref().map(|name| name.as_bytes().to_vec()),
            ..Extensions::default()
        };
        let name = self.backing_file.as_deref().map(str::as_bytes);
        let refuse = |error: Error| match &self.backing_file {
            Some(name) => {
                let format = match &self.backing_format {
                    Some(format) => format!(" with format '{format}'"),
                    None => String::new(),
                };
                error.prefixed(format!("Could not assign backing file '{name}'{format}: "))
            }
            None => error,
        };
        if name.is_some_and(|name| name.len() > limits::MAX_BACKING_NAME_BYTES as usize) {
            return Err(refuse(Error::bare(errno::EINVAL)));
        }
        let image = FirstCluster {
            header,
            extensions,
            backing_name: name,
        };
        // The name has to fit before there is an encryption header to point at.
        image.encode().map_err(|error| refuse(error.into()))?;
        Ok(image)
    }
}

#[cfg(test)]
mod tests;
