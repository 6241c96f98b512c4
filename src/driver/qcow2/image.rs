//! An open qcow2 image.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::bitmaps::{Bitmaps, Recording};
use super::compressed::DecompressedCluster;
use super::in_flight::InFlight;
use super::metadata::Metadata;
use super::range_lock::RangeLock;
use crate::base::error::errno;
use crate::base::{Error, GuestOffset, Result};
use crate::crypto::cipher::IvObserver;
use crate::crypto::secret::Secret;
use crate::driver::encryption::Encryption;
use crate::format::qcow2::Geometry;
use crate::format::qcow2::header::{CompressionType, CryptMethod};
use crate::node::{HostFile, Notices, SharedNode};

/// How an image is opened.
#[derive(Clone, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of the command line"
)]
pub struct Qcow2OpenOptions {
    /// Read and write.
    pub writable: bool,
    /// No data I/O will follow: no key is needed.
    pub no_io: bool,
    /// Opened by `check`: some damage is tolerated.
    pub check: bool,
    /// The passphrase (`encrypt.key-secret`).
    pub key: Option<Secret>,
    /// `encrypt.format`
    pub encrypt_format: Option<String>,
    /// `lazy-refcounts`; by default as the header says.
    pub lazy_refcounts: Option<bool>,
    /// `discard=unmap`: the default of `pass_discard_request`.
    pub discard_unmap: bool,
    /// `pass-discard-request`
    pub pass_discard_request: Option<bool>,
    /// `pass-discard-snapshot`
    pub pass_discard_snapshot: Option<bool>,
    /// `pass-discard-other`
    pub pass_discard_other: Option<bool>,
    /// `discard-no-unref`
    pub discard_no_unref: bool,
    /// `overlap-check` (or `overlap-check.template`)
    pub overlap_check: Option<String>,
    /// `overlap-check.NAME`: checks that are switched one by one.
    pub overlap_parts: Vec<(&'static str, bool)>,
    /// `l2-cache-size`, in bytes
    pub l2_cache_size: Option<u64>,
    /// `l2-cache-entry-size`, in bytes: checked, tables are kept whole
    pub l2_cache_entry_size: Option<u64>,
    /// `refcount-cache-size`, in bytes
    pub refcount_cache_size: Option<u64>,
    /// Where notices go.
    pub notices: Notices,
    /// Who watches the IVs.
    pub iv_observer: Option<Arc<dyn IvObserver>>,
    /// The name to show; `None`: the file's.
    pub filename: Option<String>,
}

/// An open image.
pub struct Qcow2 {
    pub(super) file: HostFile,
    /// Where guest clusters lie: the data file, or the image's own file.
    pub(super) data: HostFile,
    /// The name to show, where it is not the file's.
    pub(super) filename: Option<String>,
    pub(super) geometry: Geometry,
    pub(super) compression: RwLock<CompressionType>,
    pub(super) encryption: Option<Encryption>,
    /// Encryption as the header says, with or without a key.
    pub(super) encryption_method: Option<CryptMethod>,
    /// 2 or 3; `amend` changes it.
    pub(super) version: AtomicU32,
    /// The passphrase it was opened with: a change of key slots needs it.
    pub(super) key: Option<Secret>,
    /// The data file is a raw image of the disk.
    pub(super) raw_data: bool,
    pub(super) writable: bool,
    /// Guest discards do something (`discard=unmap`).
    pub(super) honours_discard: bool,
    pub(super) backing: RwLock<Option<SharedNode>>,
    /// Shared by requests, alone for operations on the whole image.
    requests: RwLock<()>,
    pub(super) in_flight: Arc<InFlight>,
    /// Guest sectors of encrypted images that a write completes from what is stored: other writes wait.
    pub(super) completed: RangeLock,
    /// Guest sectors of encrypted images that are being written: half a sector can't be deciphered.
    pub(super) ciphered: RangeLock,
    pub(super) disk_size: AtomicU64,
    /// The compressed cluster that was inflated last.
    pub(super) decompressed: Mutex<Option<DecompressedCluster>>,
    /// The file has fewer clusters than its refcounts say: found out when it is first asked for.
    pub(super) preallocated: OnceLock<bool>,
    /// Locked before the metadata where both are needed.
    pub(super) bitmaps: Mutex<Bitmaps>,
    /// Writes have to be recorded in a bitmap.
    pub(super) recording: Recording,
    /// A write was flushed before.
    pub(super) written_before: AtomicBool,
    metadata: Mutex<Metadata>,
}

impl Qcow2 {
    pub(super) fn assemble(
        metadata: Metadata,
        encryption: Option<Encryption>,
        compression: CompressionType,
        options: &Qcow2OpenOptions,
    ) -> Self {
        let method = metadata.header.crypt_method;
        Self {
            file: metadata.file.clone(),
            data: metadata
                .data_file
                .as_ref()
                .unwrap_or(&metadata.file)
                .clone(),
            filename: options.filename.clone(),
            geometry: metadata.geometry,
            compression: RwLock::new(compression),
            encryption,
            encryption_method: (method != CryptMethod::None).then_some(method),
            version: AtomicU32::new(metadata.header.version),
            key: options.key.clone(),
            raw_data: metadata.has_raw_data(),
            writable: metadata.writable,
            honours_discard: options.discard_unmap,
            backing: RwLock::new(None),
            requests: RwLock::new(()),
            in_flight: Arc::clone(&metadata.in_flight),
            completed: RangeLock::default(),
            ciphered: RangeLock::default(),
            disk_size: AtomicU64::new(metadata.size),
            decompressed: Mutex::new(None),
            preallocated: OnceLock::new(),
            bitmaps: Mutex::default(),
            recording: Recording::default(),
            written_before: AtomicBool::new(false),
            metadata: Mutex::new(metadata),
        }
    }

    /// Begins a request; whole-image operations wait for its end.
    pub(super) fn request(&self) -> RwLockReadGuard<'_, ()> {
        // A request may be made of others.
        self.requests.read_recursive()
    }

    /// Waits until there are no requests, and keeps it so.
    pub(super) fn own_all(&self) -> RwLockWriteGuard<'_, ()> {
        self.requests.write()
    }

    /// The metadata, unless the image died of a corruption.
    pub(super) fn metadata(&self) -> Result<MutexGuard<'_, Metadata>> {
        let metadata = self.metadata.lock();
        metadata.check_alive()?;
        Ok(metadata)
    }

    /// The metadata of an image that may be dead: for facts and for close.
    pub(super) fn metadata_even_if_dead(&self) -> MutexGuard<'_, Metadata> {
        self.metadata.lock()
    }

    /// The format's version.
    pub(super) fn version(&self) -> u32 {
        self.version.load(Ordering::Acquire)
    }

    /// Bytes of the disk.
    pub(super) fn size(&self) -> u64 {
        self.disk_size.load(Ordering::Acquire)
    }

    /// EIO for a range that leaves the disk.
    pub(super) fn check_range(&self, offset: GuestOffset, length: u64) -> Result<()> {
        match offset.bytes().checked_add(length) {
            Some(end) if end <= self.size() => Ok(()),
            _ => Err(Error::eio()),
        }
    }

    /// EPERM for a change of a read-only image.
    pub(super) fn check_writable(&self) -> Result<()> {
        if self.writable {
            Ok(())
        } else {
            Err(Error::bare(errno::EPERM))
        }
    }

    /// The backing node, if any.
    pub(super) fn backing_node(&self) -> Option<SharedNode> {
        self.backing.read().clone()
    }
}
