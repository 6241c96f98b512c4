//! Header extensions and the whole first cluster (qcow2 §1–2).

use super::bitmap::{BitmapError, BitmapsExtension};
use super::feature_names::{self, FeatureName};
use super::header::{AutoclearFeatures, CryptMethod, Header, HeaderError};
use crate::base::bytes::Reader;
use crate::base::{Error, HostOffset};

const END: u32 = 0;
const BACKING_FORMAT: u32 = 0xe279_2aca;
const DATA_FILE: u32 = 0x4441_5441;
const CRYPTO_HEADER: u32 = 0x0537_be77;
const FEATURE_NAMES: u32 = 0x6803_f857;
const BITMAPS: u32 = 0x2385_2875;

/// QEMU: a backing format's name must be shorter than this.
pub const BACKING_FORMAT_LIMIT: usize = 16;
/// Clusters up to this size have no room for the feature name table (errata 41).
const FEATURE_NAMES_ABOVE: usize = 4096;

/// Why an extension is refused; the words are the real tool's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what the variant means")]
pub enum ExtensionError {
    #[error("Header extension too large")]
    TooLarge,
    #[error("ERROR: ext_backing_format: len={0} too large (>=16)")]
    BackingFormat(usize),
    #[error("CRYPTO header extension only expected with LUKS encryption method")]
    CryptoUnexpected,
    #[error("CRYPTO header extension size {0}, but expected size 16")]
    CryptoSize(usize),
    #[error(
        "Encryption header offset '{offset}' is not a multiple of cluster size '{cluster_size}'"
    )]
    CryptoOffset { offset: u64, cluster_size: usize },
    #[error(transparent)]
    Bitmaps(#[from] BitmapError),
}

impl From<ExtensionError> for Error {
    fn from(error: ExtensionError) -> Self {
        Self::invalid(error.to_string()).with_source(error)
    }
}

/// Where the LUKS header is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CryptoHeader {
    /// Cluster aligned.
    pub offset: HostOffset,
    /// Bytes, key material included.
    pub length: u64,
}

/// An extension that nobody here knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownExtension {
    /// Its type.
    pub kind: u32,
    /// Its data, without padding.
    pub data: Vec<u8>,
}

/// All extensions of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// Format of the backing file.
    pub backing_format: Option<Vec<u8>>,
    /// Name of the external data file.
    pub data_file: Option<Vec<u8>>,
    /// Place of the LUKS header.
    pub crypto: Option<CryptoHeader>,
    /// Feature names as read; the table written is always our own.
    pub feature_names: Vec<FeatureName>,
    /// Place of the bitmap directory, where it can be trusted.
    pub bitmaps: Option<BitmapsExtension>,
    /// There was one that can't be: its autoclear bit is clear. A rewrite drops it.
    pub stale_bitmaps: bool,
    /// The others, in the order in which a rewrite stores them: last read first (errata 35).
    pub unknown: Vec<UnknownExtension>,
}

impl Extensions {
    /// Reads the extensions of a parsed header. What came before an error is returned too:
    /// an open acts on the crypto header before it sees a fault behind it (qcow2 §5 row 23).
    pub fn parse(first_cluster: &[u8], header: &Header) -> (Self, Result<(), ExtensionError>) {
        let mut extensions = Self::default();
        let result = extensions.read_all(first_cluster, header);
        (extensions, result)
    }

    fn read_all(&mut self, first_cluster: &[u8], header: &Header) -> Result<(), ExtensionError> {
        let cluster_size = 1_usize << header.cluster_bits;
        let end = match header.backing_offset {
            0 => cluster_size,
            offset => usize::try_from(offset).map_or(cluster_size, |o| o.min(cluster_size)),
        };
        let start = header.extensions_start();
        let mut area = first_cluster
            .get(start.min(first_cluster.len())..end.min(first_cluster.len()))
            .unwrap_or_default()
            .to_vec();
        // Bytes past the end of the file are zeros.
        area.resize(end.saturating_sub(start), 0);
        let mut reader = Reader::new(&area);
        while reader.remaining() > 0 {
            let kind = reader.u32().map_err(|_| ExtensionError::TooLarge)?;
            let length = reader.u32().map_err(|_| ExtensionError::TooLarge)?;
            let length = usize::try_from(length).map_err(|_| ExtensionError::TooLarge)?;
            if length > reader.remaining() {
                return Err(ExtensionError::TooLarge);
            }
            if kind == END {
                break;
            }
            let data = reader.take(length).map_err(|_| ExtensionError::TooLarge)?;
            self.accept(kind, data, header)?;
            let padding = length.next_multiple_of(8) - length;
            if reader.take(padding).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Takes one extension in; a duplicate replaces its predecessor.
    fn accept(&mut self, kind: u32, data: &[u8], header: &Header) -> Result<(), ExtensionError> {
        match kind {
            BACKING_FORMAT if data.len() >= BACKING_FORMAT_LIMIT => {
                return Err(ExtensionError::BackingFormat(data.len()));
            }
            BACKING_FORMAT => self.backing_format = Some(until_nul(data)),
            DATA_FILE => self.data_file = Some(until_nul(data)),
            CRYPTO_HEADER => self.crypto = Some(crypto_header(data, header)?),
            FEATURE_NAMES => self.feature_names = feature_names::parse(data),
            BITMAPS => {
                BitmapsExtension::validate_length(data)?;
                if header.autoclear.contains(AutoclearFeatures::BITMAPS) {
                    self.bitmaps = Some(BitmapsExtension::parse(data, 1 << header.cluster_bits)?);
                } else {
                    self.stale_bitmaps = true;
                }
            }
            _ => self.unknown.insert(
                0,
                UnknownExtension {
                    kind,
                    data: data.to_vec(),
                },
            ),
        }
        Ok(())
    }

    /// The extensions as written, END included, for a header of `version` in clusters of `cluster_size` bytes.
    fn encode(&self, version: u32, cluster_size: usize) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(format) = &self.backing_format {
            push(&mut out, BACKING_FORMAT, format);
        }
        if let Some(name) = &self.data_file {
            push(&mut out, DATA_FILE, name);
        }
        if let Some(crypto) = self.crypto {
            let mut data = crypto.offset.bytes().to_be_bytes().to_vec();
            data.extend(crypto.length.to_be_bytes());
            push(&mut out, CRYPTO_HEADER, &data);
        }
        if version >= 3 && cluster_size > FEATURE_NAMES_ABOVE {
            push(&mut out, FEATURE_NAMES, &feature_names::encode());
        }
        if let Some(bitmaps) = &self.bitmaps {
            push(&mut out, BITMAPS, &bitmaps.encode());
        }
        for extension in &self.unknown {
            push(&mut out, extension.kind, &extension.data);
        }
        push(&mut out, END, &[]);
        out
    }
}

/// How many of the first cluster's bytes must be known, when more than `known`: the extensions with their end, and the
/// backing file's name.
pub fn bytes_needed(known: &[u8], header: &Header, cluster_size: usize) -> Option<usize> {
    let place = |offset: u64| usize::try_from(offset).unwrap_or(cluster_size);
    let name = match header.backing_offset {
        0 => 0,
        offset => place(offset.saturating_add(u64::from(header.backing_length))),
    };
    let end = match header.backing_offset {
        0 => cluster_size,
        offset => place(offset).min(cluster_size),
    };
    let mut needed = name.max(header.extensions_start());
    let mut at = header.extensions_start();
    while at < end {
        needed = needed.max(at.saturating_add(8));
        let Some(mut reader) = known.get(at..).map(Reader::new) else {
            break;
        };
        let (Ok(kind), Ok(length)) = (reader.u32(), reader.u32()) else {
            break;
        };
        if kind == END {
            break;
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let behind = at.saturating_add(8).saturating_add(length);
        if behind > end {
            // Too large, which the parser says.
            break;
        }
        needed = needed.max(behind);
        at = behind.next_multiple_of(8);
    }
    let needed = needed.min(cluster_size);
    (needed > known.len()).then_some(needed)
}

/// Names end at their first NUL.
fn until_nul(data: &[u8]) -> Vec<u8> {
    data.split(|&byte| byte == 0)
        .next()
        .unwrap_or_default()
        .to_vec()
}

fn crypto_header(data: &[u8], header: &Header) -> Result<CryptoHeader, ExtensionError> {
    if header.crypt_method != CryptMethod::Luks {
        return Err(ExtensionError::CryptoUnexpected);
    }
    let size = ExtensionError::CryptoSize(data.len());
    let mut reader = Reader::new(data);
    let (Ok(offset), Ok(length), 0) = (reader.u64(), reader.u64(), reader.remaining()) else {
        return Err(size);
    };
    let place = HostOffset::new(offset);
    if !place.is_aligned(1 << header.cluster_bits) {
        return Err(ExtensionError::CryptoOffset {
            offset,
            cluster_size: 1 << header.cluster_bits,
        });
    }
    Ok(CryptoHeader {
        offset: place,
        length,
    })
}

fn push(out: &mut Vec<u8>, kind: u32, data: &[u8]) {
    out.extend(kind.to_be_bytes());
    // An extension read or made here fits a cluster of 2 MiB at most.
    out.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend(data);
    out.resize(out.len().next_multiple_of(8), 0);
}

/// The whole first cluster for a header rewrite: fixed fields, extensions, backing name, zero fill.
/// The backing name's place is decided here; `header.backing_offset` and `backing_length` are not looked at.
pub fn encode_first_cluster(
    header: &Header,
    extensions: &Extensions,
    backing_name: Option<&[u8]>,
) -> Result<Vec<u8>, HeaderError> {
    let cluster_size = 1_usize << header.cluster_bits;
    let tail = extensions.encode(header.version, cluster_size);
    let start = header.encode_fixed(None).len() + tail.len();
    let place = match backing_name {
        None => None,
        Some(name) => Some((
            start as u64,
            u32::try_from(name.len()).map_err(|_| HeaderError::NoSpace)?,
        )),
    };
    let mut out = header.encode_fixed(place);
    out.extend(tail);
    out.extend(backing_name.unwrap_or_default());
    if out.len() > cluster_size {
        return Err(HeaderError::NoSpace);
    }
    out.resize(cluster_size, 0);
    Ok(out)
}

#[cfg(test)]
mod tests;
