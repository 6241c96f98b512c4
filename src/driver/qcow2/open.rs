//! Opening an image: everything is validated in the real tool's order (qcow2 §5).

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::image::{Qcow2, Qcow2OpenOptions};
use super::metadata::{DiscardPolicy, Metadata};
use super::overlap::OverlapChecks;
use super::tables::TableCache;
use crate::base::{Error, HostOffset, Result};
use crate::crypto::legacy_aes;
use crate::driver::encryption::Encryption;
use crate::driver::luks::volume::{UnlockOptions, inspect_volume, open_volume};
use crate::format::qcow2::extension::{CryptoHeader, Extensions, bytes_needed};
use crate::format::qcow2::header::{
    AutoclearFeatures, CryptMethod, Header, IncompatibleFeatures, Tolerance, V3_HEADER_BYTES,
};
use crate::format::qcow2::{Geometry, HostCluster, L1Entry};
use crate::node::{DebugEvent, HostFile, Repair};

/// QEMU: the most memory that cached L2 tables take by default.
const L2_CACHE_BYTES: u64 = 32 << 20;
/// Refcount blocks are walked in order: few are enough.
const REFCOUNT_CACHE_BYTES: u64 = 1 << 20;

/// Gives the data file, if any. It is told the name that the header has for a data file that the image needs.
pub type DataFileSource<'a> = &'a mut dyn FnMut(Option<&str>) -> Result<Option<HostFile>>;

impl Qcow2 {
    /// Opens the image in `file`. The backing node is set by the caller.
    pub fn open(file: HostFile, options: &Qcow2OpenOptions) -> Result<Arc<Self>> {
        Self::open_with_data(file, options, &mut |_| Ok(None))
    }

    /// The same for an image that may have its data elsewhere: `data` is asked for that file, and told the header's
    /// name for it where the image needs one.
    pub fn open_with_data(
        file: HostFile,
        options: &Qcow2OpenOptions,
        data: DataFileSource<'_>,
    ) -> Result<Arc<Self>> {
        let first_cluster = read_first_cluster(&file)?;
        let header = Header::parse(&first_cluster)?;
        let compression = header.validate_compression()?;
        header.validate_features(&first_cluster)?;
        refuse_corrupt(&header, options)?;
        header.validate_units()?;
        header.validate_tables(Tolerance {
            check: options.check,
        })?;
        header.validate_l1_length()?;
        let geometry = geometry_of(&header)?;
        let l1 = read_table(&file, header.l1_offset, u64::from(header.l1_entries))
            .map_err(|error| error.prefixed("Could not read L1 table: "))?
            .into_iter()
            .map(L1Entry::from_raw)
            .collect();
        validate_options(&header, options)?;
        validate_encryption_option(&header, options.encrypt_format.as_deref())?;
        let refcount_entries =
            u64::from(header.refcount_table_clusters) * geometry.table_entries_per_cluster();
        file.debug_event(DebugEvent::ReftableLoad);
        let refcount_table = read_table(&file, header.refcount_table_offset, refcount_entries)
            .map_err(|error| error.prefixed("Could not initialize refcount handling: "))?;
        let (extensions, extensions_result) = Extensions::parse(&first_cluster, &header);
        let luks = match extensions.crypto {
            Some(place) if options.no_io => {
                // No key, but the header must make sense.
                inspect_volume(&reader(&file, place), false)?;
                None
            }
            Some(place) => Some(unlock(&file, place, options)?),
            None => None,
        };
        extensions_result?;
        let data_file = open_data_file(&header, &extensions, options, data)?;
        let encryption = choose_encryption(&header, &extensions, luks, options)?;
        // The real tools end the name at its first NUL; an empty one is none.
        let backing_name = header
            .backing_name(&first_cluster)?
            .and_then(|name| name.split(|&byte| byte == 0).next())
            .filter(|name| !name.is_empty())
            .map(<[u8]>::to_vec);
        let size = header.disk_size()?;
        let state = Loaded {
            file,
            data_file,
            header,
            geometry,
            extensions,
            backing_name,
            size,
            l1,
            refcount_table,
        };
        let mut metadata = state.into_metadata(options);
        if !options.check {
            metadata.load_snapshots()?;
        }
        let image = Self::assemble(metadata, encryption, compression, options);
        image.after_open(options)?;
        Ok(Arc::new(image))
    }

    /// What opening for writing changes: feature bits that this writer does not keep valid.
    fn after_open(&self, options: &Qcow2OpenOptions) -> Result<()> {
        let mut bitmaps = self.bitmaps.lock();
        let mut metadata = self.metadata()?;
        if options.writable {
            metadata.rebuild_overlap_index();
        }
        *bitmaps = metadata.load_bitmaps()?;
        if !options.writable {
            return Ok(());
        }
        let dirty = metadata
            .header
            .incompatible
            .contains(IncompatibleFeatures::DIRTY);
        let outdated = metadata.header.autoclear - AutoclearFeatures::all();
        let stale_bitmaps = std::mem::take(&mut metadata.extensions.stale_bitmaps);
        metadata.header.autoclear -= outdated;
        if stale_bitmaps || (!outdated.is_empty() && !options.check) {
            metadata.rewrite_header()?;
            metadata.file.flush()?;
        }
        metadata
            .mark_bitmaps_in_use(&mut bitmaps)
            .map_err(|error| error.prefixed("Can't update bitmap directory: "))?;
        self.recording.refresh(&bitmaps);
        drop(metadata);
        drop(bitmaps);
        if dirty && !options.check {
            self.repair_dirty(options)?;
        }
        Ok(())
    }

    /// Counts of an image that was not closed can't be trusted: nothing is allocated before they are repaired
    /// (qcow2 §5 row 30).
    fn repair_dirty(&self, options: &Qcow2OpenOptions) -> Result<()> {
        // What can't be repaired stays as it is, and dirty until the image is closed: the real tool goes on, too.
        self.check_image(Repair::All, &mut |line| options.notices.say(line))
            .map(|_| ())
            .map_err(|error| {
                if !error.is_bare() {
                    options.notices.say(&error.to_string());
                }
                Error::bare(error.errno()).prefixed("Could not repair dirty image: ")
            })
    }
}

/// The first cluster, as far as it is used: sector by sector, since one that nobody needs may be unreadable.
fn read_first_cluster(file: &HostFile) -> Result<Vec<u8>> {
    const SECTOR: usize = 512;
    let mut bytes = file
        .read_vec(HostOffset::ZERO, V3_HEADER_BYTES as usize)
        .map_err(|error| error.prefixed("Could not read qcow2 header: "))?;
    let cluster_size = Header::cluster_size_of(&bytes)?;
    let Ok(header) = Header::parse(&bytes) else {
        return file.read_vec(HostOffset::ZERO, cluster_size);
    };
    while let Some(needed) = bytes_needed(&bytes, &header, cluster_size) {
        let start = bytes.len();
        let more = needed.next_multiple_of(SECTOR).min(cluster_size) - start;
        bytes.extend(file.read_vec(HostOffset::new(start as u64), more)?);
    }
    bytes.resize(cluster_size, 0);
    Ok(bytes)
}

/// A table of big-endian 64-bit entries; its length has been checked against a cap.
fn read_table(file: &HostFile, offset: HostOffset, entries: u64) -> Result<Vec<u64>> {
    let bytes = usize::try_from(entries * 8).map_err(|_| Error::eio())?;
    let bytes = file.read_vec(offset, bytes)?;
    Ok(bytes
        .chunks_exact(8)
        .filter_map(|chunk| chunk.first_chunk::<8>())
        .map(|chunk| u64::from_be_bytes(*chunk))
        .collect())
}

fn refuse_corrupt(header: &Header, options: &Qcow2OpenOptions) -> Result<()> {
    let damaged = header.incompatible.contains(IncompatibleFeatures::CORRUPT);
    if damaged && options.writable && !options.check {
        return Err(
            Error::invalid("qcow2: Image is corrupt; cannot be opened read/write")
                .with_errno(crate::base::error::errno::EACCES),
        );
    }
    Ok(())
}

fn geometry_of(header: &Header) -> Result<Geometry> {
    let extended_l2 = header
        .incompatible
        .contains(IncompatibleFeatures::EXTENDED_L2);
    Geometry::new(header.cluster_bits, header.refcount_order, extended_l2)
        .map(|geometry| geometry.with_external_data(has_data_file(header)))
        .ok_or_else(|| Error::invalid("Image is not in qcow2 format"))
}

fn has_data_file(header: &Header) -> bool {
    header
        .incompatible
        .contains(IncompatibleFeatures::DATA_FILE)
}

/// The data file, by what the user or the header says (qcow2 §5 row 24).
fn open_data_file(
    header: &Header,
    extensions: &Extensions,
    options: &Qcow2OpenOptions,
    source: DataFileSource<'_>,
) -> Result<Option<HostFile>> {
    if options.no_io {
        return Ok(None);
    }
    let needed = has_data_file(header);
    let name = extensions
        .data_file
        .as_deref()
        .filter(|_| needed)
        .map(String::from_utf8_lossy);
    let found = source(name.as_deref())?;
    match (&found, needed) {
        (None, true) => Err(Error::invalid("'data-file' is required for this image")),
        (Some(_), false) => Err(Error::caller(
            "'data-file' can only be set for images with an external data file",
        )),
        (None, false) if header.autoclear.contains(AutoclearFeatures::DATA_FILE_RAW) => {
            Err(Error::invalid("data-file-raw requires a data file"))
        }
        _ => Ok(found),
    }
}

/// Run-time options (qcow2 §5 row 20).
fn validate_options(header: &Header, options: &Qcow2OpenOptions) -> Result<()> {
    let cluster_size = 1_u64 << header.cluster_bits;
    let fits = |size: u64| size.is_power_of_two() && (512..=cluster_size).contains(&size);
    if options.l2_cache_entry_size.is_some_and(|size| !fits(size)) {
        return Err(Error::caller(format!(
            "L2 cache entry size must be a power of two between 512 and the cluster size ({cluster_size})"
        )));
    }
    let tables = options.refcount_cache_size.unwrap_or(0) / cluster_size;
    if i32::try_from(tables).is_err() {
        return Err(Error::caller("Refcount cache size too big"));
    }
    if options.lazy_refcounts == Some(true) && header.version < 3 {
        return Err(Error::caller(
            "Lazy refcounts require a qcow2 image with at least qemu 1.1 compatibility level",
        ));
    }
    if options.discard_no_unref && header.version < 3 {
        return Err(Error::caller(
            "discard-no-unref is only supported since qcow2 version 3",
        ));
    }
    overlap_checks(options).map(|_| ())
}

fn overlap_checks(options: &Qcow2OpenOptions) -> Result<OverlapChecks> {
    let mut checks = match options.overlap_check.as_deref() {
        None | Some("cached") => OverlapChecks::CACHED,
        Some("none") => OverlapChecks::empty(),
        Some("constant") => OverlapChecks::CONSTANT,
        Some("all") => OverlapChecks::ALL,
        Some(other) => {
            return Err(Error::caller(format!(
                "Unsupported value '{other}' for qcow2 option 'overlap-check'. Allowed are any of the following: none, constant, cached, all"
            )));
        }
    };
    for (part, on) in &options.overlap_parts {
        checks.set(OverlapChecks::by_part(part), *on);
    }
    Ok(checks)
}

/// Encryption option against the header (qcow2 §5 row 21).
fn validate_encryption_option(header: &Header, format: Option<&str>) -> Result<()> {
    let named = match header.crypt_method {
        CryptMethod::None => {
            return match format {
                None => Ok(()),
                Some(format) => Err(Error::caller(format!(
                    "No encryption in image header, but options specified format '{format}'"
                ))),
            };
        }
        CryptMethod::Aes => "aes",
        CryptMethod::Luks => "luks",
        CryptMethod::Unknown(number) => {
            // A signed number in the real tool's words.
            return Err(Error::unsupported(format!(
                "Unsupported encryption method {}",
                number.cast_signed()
            )));
        }
    };
    match format {
        Some(format) if format != named => Err(Error::caller(format!(
            "Header reported '{named}' encryption format but options specify '{format}'"
        ))),
        _ => Ok(()),
    }
}

/// Reads the LUKS header's area by offsets of its own.
/// Reads the LUKS header area, and nothing outside of it (luks1 §5 row 3).
pub(super) fn reader(
    file: &HostFile,
    place: CryptoHeader,
) -> impl Fn(u64, &mut [u8]) -> Result<()> {
    move |offset, buffer| {
        if offset.saturating_add(buffer.len() as u64) > place.length {
            return Err(Error::invalid(
                "Request for data outside of extension header",
            ));
        }
        place
            .offset
            .plus(offset)
            .and_then(|start| file.read_at(start, buffer))
            .map_err(|error| error.prefixed("Could not read encryption header: "))
    }
}

fn unlock(file: &HostFile, place: CryptoHeader, options: &Qcow2OpenOptions) -> Result<Encryption> {
    let volume = open_volume(
        &reader(file, place),
        options.key.as_ref(),
        &UnlockOptions {
            observer: options.iv_observer.clone(),
            option_prefix: "encrypt.",
            ..UnlockOptions::default()
        },
    )?;
    Ok(Encryption::luks(volume.cipher))
}

/// The payload's cipher (qcow2 §5 rows 25–26).
fn choose_encryption(
    header: &Header,
    extensions: &Extensions,
    luks: Option<Encryption>,
    options: &Qcow2OpenOptions,
) -> Result<Option<Encryption>> {
    match header.crypt_method {
        CryptMethod::Aes if !options.no_io => {
            let key = options.key.as_ref().ok_or_else(|| {
                Error::key("Parameter 'encrypt.key-secret' is required for cipher")
            })?;
            let cipher = legacy_aes(key, options.iv_observer.clone())?;
            Ok(Some(Encryption::legacy_aes(cipher)))
        }
        CryptMethod::Luks if extensions.crypto.is_none() => {
            Err(Error::invalid("Missing CRYPTO header for crypt method 2"))
        }
        _ => Ok(luks),
    }
}

/// What an open has read.
struct Loaded {
    file: HostFile,
    data_file: Option<HostFile>,
    header: Header,
    geometry: Geometry,
    extensions: Extensions,
    backing_name: Option<Vec<u8>>,
    size: u64,
    l1: Vec<L1Entry>,
    refcount_table: Vec<u64>,
}

impl Loaded {
    fn into_metadata(mut self, options: &Qcow2OpenOptions) -> Metadata {
        // A rewritten header holds whole sectors.
        self.header.size = self.size;
        let table_bytes = self.geometry.cluster_bytes();
        let l2_budget = options.l2_cache_size.unwrap_or(L2_CACHE_BYTES);
        let refcount_budget = options.refcount_cache_size.unwrap_or(REFCOUNT_CACHE_BYTES);
        let lazy_refcounts = options.writable
            && options
                .lazy_refcounts
                .unwrap_or_else(|| Metadata::header_is_lazy(&self.header));
        Metadata {
            file: self.file,
            data_file: self.data_file,
            geometry: self.geometry,
            empty_backing_name: self.header.backing_offset != 0 && self.backing_name.is_none(),
            header: self.header,
            extensions: self.extensions,
            backing_name: self.backing_name,
            size: self.size,
            l1: self.l1,
            refcount_table: self.refcount_table,
            l2_tables: TableCache::new(l2_budget, table_bytes),
            refcount_blocks: TableCache::new(refcount_budget, table_bytes),
            free_index: HostCluster::new(0),
            freed: HashSet::new(),
            discards: Vec::new(),
            data_discards: Vec::new(),
            compressed_end: None,
            discard_policy: DiscardPolicy {
                request: options
                    .pass_discard_request
                    .unwrap_or(options.discard_unmap),
                snapshot: options.pass_discard_snapshot.unwrap_or(true),
                other: options.pass_discard_other.unwrap_or(false),
            },
            discard_no_unref: options.discard_no_unref,
            lazy_refcounts,
            writable: options.writable,
            notices: options.notices.clone(),
            overlap_checks: overlap_checks(options).unwrap_or_default(),
            active_l2_clusters: BTreeSet::new(),
            refcount_block_clusters: BTreeSet::new(),
            inactive_l1: Vec::new(),
            snapshots: Vec::new(),
            snapshot_table_bytes: 0,
            in_flight: Arc::default(),
            freed_generation: 0,
            corruption_reported: false,
            dead: false,
        }
    }
}
