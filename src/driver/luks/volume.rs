//! A LUKS1 volume, wherever its header lies: in front of the payload, in a file of its own, or in clusters of
//! a qcow2 image. The caller gives functions that read and write at offsets from the header's start.

use std::fmt;
use std::sync::Arc;

use super::create_options::LuksCreateOptions;
use super::unlock::{self, MasterKey};
use crate::base::iv_sector::SECTOR_SIZE;
use crate::base::limits::LUKS_MAX_ITERATIONS;
use crate::base::{Error, Result};
use crate::crypto::cipher::{IvObserver, SharedCipher};
use crate::crypto::secret::Secret;
use crate::crypto::{kdf, random};
use crate::format::luks1::{Geometry, HEADER_BYTES, Header, LuksError};

/// Reads at an offset from the start of the header.
pub type ReadHeader<'a> = &'a dyn Fn(u64, &mut [u8]) -> Result<()>;
/// Writes at an offset from the start of the header.
pub type WriteHeader<'a> = &'a mut dyn FnMut(u64, &[u8]) -> Result<()>;

/// Everything that a change of an existing header needs, at offsets from its start.
pub struct HeaderAccess<'a> {
    /// Reads.
    pub read: ReadHeader<'a>,
    /// Writes.
    pub write: WriteHeader<'a>,
    /// Makes what was written durable.
    pub flush: &'a mut dyn FnMut() -> Result<()>,
}

/// How a volume is opened.
#[derive(Clone)]
pub struct UnlockOptions {
    /// The payload lies in another file: its offset in the header proves nothing.
    pub detached: bool,
    /// More PBKDF2 iterations than this are refused.
    pub max_iterations: u32,
    /// Who watches the IVs.
    pub observer: Option<Arc<dyn IvObserver>>,
    /// What stands before `key-secret` in messages: `""`, or `"encrypt."` in qcow2.
    pub option_prefix: &'static str,
}

impl Default for UnlockOptions {
    fn default() -> Self {
        Self {
            detached: false,
            max_iterations: LUKS_MAX_ITERATIONS,
            observer: None,
            option_prefix: "",
        }
    }
}

impl fmt::Debug for UnlockOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnlockOptions")
            .field("detached", &self.detached)
            .field("max_iterations", &self.max_iterations)
            .field("observed", &self.observer.is_some())
            .finish_non_exhaustive()
    }
}

/// A volume whose master key is known.
#[derive(Clone)]
pub struct LuksVolume {
    /// The header as it is on disk.
    pub header: Header,
    /// The payload's cipher.
    pub cipher: SharedCipher,
}

impl LuksVolume {
    /// Where the payload starts, in bytes from the start of the header (of the data file when detached). An
    /// embedded volume's payload is the image's clusters instead.
    pub fn payload_offset(&self) -> u64 {
        self.header.payload_offset()
    }
}

impl fmt::Debug for LuksVolume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LuksVolume")
            .field("suite", &self.header.suite())
            .finish_non_exhaustive()
    }
}

/// Reads and validates the header; needs no key.
pub fn inspect_volume(read: ReadHeader<'_>, detached: bool) -> Result<Header> {
    let mut bytes = [0; HEADER_BYTES];
    read(0, &mut bytes)?;
    Ok(Header::parse(&bytes, detached)?)
}

/// Reads the header and unlocks the volume. `key`: the passphrase; `None` ends in the message that asks for one.
pub fn open_volume(
    read: ReadHeader<'_>,
    key: Option<&Secret>,
    options: &UnlockOptions,
) -> Result<LuksVolume> {
    // The key is asked for before the header is looked at (luks1 §5, row 1).
    let key = key.ok_or_else(|| missing_key(options.option_prefix))?;
    let header = inspect_volume(read, options.detached)?;
    header.suite().validate()?;
    let master = unlock::find_master_key(&header, read, key, options.max_iterations)?;
    unlocked(header, &master, options.observer.clone())
}

pub(super) fn missing_key(option_prefix: &str) -> Error {
    Error::key(format!(
        "Parameter '{option_prefix}key-secret' is required for cipher"
    ))
}

fn unlocked(
    header: Header,
    master: &MasterKey,
    observer: Option<Arc<dyn IvObserver>>,
) -> Result<LuksVolume> {
    let cipher = header.suite().keyed(master, observer)?;
    Ok(LuksVolume { header, cipher })
}

/// Bytes that the header area of a new volume takes (header and all eight key areas), or why such a volume can't be.
pub fn plan_volume(options: &LuksCreateOptions) -> Result<u64> {
    let header = new_header(options)?;
    Ok(u64::from(Geometry::new(header.key_bytes).payload_sector()) * SECTOR_SIZE as u64)
}

fn new_header(options: &LuksCreateOptions) -> Result<Header> {
    let suite = options.suite();
    suite.validate()?;
    let key_bytes = u32::try_from(suite.key_bytes())
        .map_err(|_| Error::caller("the key is too long for a LUKS header"))?;
    let payload_sector = if options.detached {
        0
    } else {
        Geometry::new(key_bytes).payload_sector()
    };
    let header = Header::new(suite, options.hash, payload_sector);
    header.check_unlockable().map_err(|error: LuksError| {
        Error::unsupported(format!(
            "Cipher '{}' in mode '{}' is not supported: {error}",
            suite.algorithm, suite.mode
        ))
    })?;
    Ok(header)
}

/// Writes a new volume's header and slot 0. Space of [`plan_volume`] bytes is there and reads as zeros.
///
/// The header is written last: until then the volume is not a LUKS volume (luks1 §4).
pub fn create_volume(
    options: &LuksCreateOptions,
    key: &Secret,
    observer: Option<Arc<dyn IvObserver>>,
    write: WriteHeader<'_>,
) -> Result<LuksVolume> {
    let mut header = new_header(options)?;
    let key_bytes = header.suite().key_bytes();
    let mut master: MasterKey = vec![0; key_bytes].into();
    random::fill(&mut master)?;
    random::fill(&mut header.digest_salt)?;
    for (to, from) in header
        .uuid
        .iter_mut()
        .zip(uuid::Uuid::new_v4().to_string().bytes())
    {
        *to = from;
    }
    let time = options.iter_time_ms;
    let iterations = kdf::iterations_for(options.hash, key_bytes, time, 1)?;
    header.digest_iterations =
        kdf::iterations_for(options.hash, header.digest.len(), time, DIGEST_SHARE)?;
    header.digest = unlock::master_digest(&header, &master);
    unlock::store_in_slot(&mut header, 0, &master, key, iterations, write)?;
    write(0, &header.encode())?;
    unlocked(header, &master, observer)
}

/// Refuses an `iter-time` that [`create_volume`] would refuse, without measuring for the usual ones.
pub fn check_iter_time(options: &LuksCreateOptions) -> Result<()> {
    if (0..=10_000).contains(&options.iter_time_ms) {
        return Ok(());
    }
    let key_bytes = options.suite().key_bytes();
    kdf::iterations_for(options.hash, key_bytes, options.iter_time_ms, 1).map(|_| ())
}

/// The digest gets one eighth of the time: it is checked for each slot.
const DIGEST_SHARE: u64 = 8;

#[cfg(test)]
mod tests;
