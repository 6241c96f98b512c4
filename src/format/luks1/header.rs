//! The partition header: bytes in, a validated value out, and back (luks1 §1, §5).

use super::error::LuksError;
use super::geometry::{Geometry, HEADER_SECTORS};
use super::slot::{KeySlot, SLOT_BYTES, SLOT_COUNT, STRIPES, SlotState};
use crate::base::bytes::{Reader, Truncated};
use crate::crypto::algorithm::CipherFamily;
use crate::crypto::{CipherAlgorithm, CipherMode, CipherSuite, HashAlgorithm, IvAlgorithm, ivgen};

/// Bytes of the header proper.
pub const HEADER_BYTES: usize = 208 + SLOT_COUNT * SLOT_BYTES;

const MAGIC: [u8; 6] = *b"LUKS\xba\xbe";
const VERSION: u16 = 1;

/// Does a file with these first bytes probe as LUKS1? Magic and version only.
pub fn probe(start: &[u8]) -> bool {
    start
        .strip_prefix(&MAGIC)
        .is_some_and(|rest| rest.starts_with(&VERSION.to_be_bytes()))
}

/// A header that passed every check of luks1 §5 that needs no key.
///
/// Name fields are kept as they are stored: a rewrite must not lose what it doesn't understand (a `:hash` that
/// no IV generator uses, bytes behind the NUL).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    cipher_name: [u8; 32],
    cipher_mode: [u8; 32],
    hash_spec: [u8; 32],
    /// Bytes 104–107: start of the payload in sectors; 0 in detached headers.
    pub payload_sector: u32,
    /// Bytes 108–111: length of the master key.
    pub key_bytes: u32,
    /// Bytes 112–131: tells whether a master key is the right one.
    pub digest: [u8; 20],
    /// Bytes 132–163.
    pub digest_salt: [u8; 32],
    /// Bytes 164–167.
    pub digest_iterations: u32,
    /// Bytes 168–207: the UUID as text. Never validated.
    pub uuid: [u8; 40],
    /// Bytes 208–591.
    pub slots: [KeySlot; SLOT_COUNT],
    suite: CipherSuite,
    hash: HashAlgorithm,
}

impl Header {
    /// Parses and validates. `detached`: the payload lies in another file, so its offset proves nothing.
    pub fn parse(bytes: &[u8], detached: bool) -> Result<Self, LuksError> {
        // Files that end inside the header read as zeros behind their end (luks1 §5, row 3).
        let mut whole = [0; HEADER_BYTES];
        for (to, from) in whole.iter_mut().zip(bytes) {
            *to = *from;
        }
        let raw = Raw::read(&whole).map_err(|Truncated| LuksError::NotLuks)?;
        raw.validate(detached)
    }

    /// A header for a new volume: slots empty, digest, salts and UUID still to be filled in.
    pub fn new(suite: CipherSuite, hash: HashAlgorithm, payload_sector: u32) -> Self {
        // At most 64: the lengths of real ciphers' keys.
        let key_bytes = u32::try_from(suite.key_bytes()).unwrap_or(u32::MAX);
        let geometry = Geometry::new(key_bytes);
        let mut slot_sectors = (0..).map(|slot| geometry.slot_sector(slot));
        let iv_hash = suite
            .iv_hash
            .map(|hash| format!(":{hash}"))
            .unwrap_or_default();
        Self {
            cipher_name: name_field(suite.algorithm.family().luks_name()),
            cipher_mode: name_field(&format!("{}-{}{iv_hash}", suite.mode, suite.iv)),
            hash_spec: name_field(hash.name()),
            payload_sector,
            key_bytes,
            digest: [0; 20],
            digest_salt: [0; 32],
            digest_iterations: 0,
            uuid: [0; 40],
            slots: std::array::from_fn(|_| KeySlot::empty(slot_sectors.next().unwrap_or_default())),
            suite,
            hash,
        }
    }

    /// The 592 bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend(MAGIC);
        out.extend(VERSION.to_be_bytes());
        out.extend(self.cipher_name);
        out.extend(self.cipher_mode);
        out.extend(self.hash_spec);
        out.extend(self.payload_sector.to_be_bytes());
        out.extend(self.key_bytes.to_be_bytes());
        out.extend(self.digest);
        out.extend(self.digest_salt);
        out.extend(self.digest_iterations.to_be_bytes());
        out.extend(self.uuid);
        for slot in &self.slots {
            slot.encode(&mut out);
        }
        out
    }

    /// Cipher, mode and IV generator.
    pub const fn suite(&self) -> CipherSuite {
        self.suite
    }

    /// The hash of key derivation, digest and splitter.
    pub const fn hash(&self) -> HashAlgorithm {
        self.hash
    }

    /// Start of the payload in bytes.
    pub fn payload_offset(&self) -> u64 {
        u64::from(self.payload_sector) * 512
    }

    /// The UUID as text, up to its NUL.
    pub fn uuid_text(&self) -> String {
        String::from_utf8_lossy(
            self.uuid
                .split(|byte| *byte == 0)
                .next()
                .unwrap_or_default(),
        )
        .into_owned()
    }

    /// Bytes of one slot's key material, without padding.
    pub fn material_bytes(&self) -> u64 {
        u64::from(self.key_bytes) * u64::from(STRIPES)
    }

    /// What only stands in the way of unlocking: `info` still shows such a header.
    pub fn check_unlockable(&self) -> Result<(), LuksError> {
        if self.suite.mode == CipherMode::Xts && !self.key_bytes.is_multiple_of(2) {
            return Err(LuksError::OddXtsKey);
        }
        if !self.material_bytes().is_multiple_of(512) {
            return Err(LuksError::UnalignedKeyMaterial {
                key_bytes: self.key_bytes,
            });
        }
        Ok(())
    }
}

/// A name in its 32-byte field. Names made here are at most 17 bytes.
fn name_field(name: &str) -> [u8; 32] {
    let mut field = [0; 32];
    for (to, from) in field.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    field
}

/// The fields as stored, not yet believed.
struct Raw {
    magic: [u8; 6],
    version: u16,
    cipher_name: [u8; 32],
    cipher_mode: [u8; 32],
    hash_spec: [u8; 32],
    payload_sector: u32,
    key_bytes: u32,
    digest: [u8; 20],
    digest_salt: [u8; 32],
    digest_iterations: u32,
    uuid: [u8; 40],
    slots: [KeySlot; SLOT_COUNT],
}

impl Raw {
    fn read(bytes: &[u8]) -> Result<Self, Truncated> {
        let mut reader = Reader::new(bytes);
        Ok(Self {
            magic: reader.array()?,
            version: reader.u16()?,
            cipher_name: reader.array()?,
            cipher_mode: reader.array()?,
            hash_spec: reader.array()?,
            payload_sector: reader.u32()?,
            key_bytes: reader.u32()?,
            digest: reader.array()?,
            digest_salt: reader.array()?,
            digest_iterations: reader.u32()?,
            uuid: reader.array()?,
            slots: {
                let mut slots = Vec::with_capacity(SLOT_COUNT);
                for _ in 0..SLOT_COUNT {
                    slots.push(KeySlot::parse(&mut reader)?);
                }
                slots.try_into().map_err(|_| Truncated)?
            },
        })
    }

    /// luks1 §5, rows 4–20, in that order.
    fn validate(self, detached: bool) -> Result<Header, LuksError> {
        if self.magic != MAGIC {
            return Err(LuksError::NotLuks);
        }
        if self.version != VERSION {
            return Err(LuksError::Version(self.version));
        }
        let cipher_name = terminated(&self.cipher_name, "cipher name")?;
        let cipher_mode = terminated(&self.cipher_mode, "cipher mode")?;
        let hash_spec = terminated(&self.hash_spec, "hash spec")?;
        if !detached && self.payload_sector < HEADER_SECTORS {
            return Err(LuksError::PayloadOverlapsHeader);
        }
        if self.digest_iterations == 0 {
            return Err(LuksError::DigestIterationsZero);
        }
        for index in 0..SLOT_COUNT {
            self.validate_slot(index, detached)?;
        }
        let (suite, hash) = parse_names(&cipher_name, &cipher_mode, &hash_spec, self.key_bytes)?;
        Ok(Header {
            cipher_name: self.cipher_name,
            cipher_mode: self.cipher_mode,
            hash_spec: self.hash_spec,
            payload_sector: self.payload_sector,
            key_bytes: self.key_bytes,
            digest: self.digest,
            digest_salt: self.digest_salt,
            digest_iterations: self.digest_iterations,
            uuid: self.uuid,
            slots: self.slots,
            suite,
            hash,
        })
    }

    /// Rows 9–14 for one slot. Sums are 64 bits wide: the real tools' wrap at 32 and let areas past 2 TiB through.
    fn validate_slot(&self, index: usize, detached: bool) -> Result<(), LuksError> {
        let Some(slot) = self.slots.get(index) else {
            return Ok(());
        };
        if slot.stripes != STRIPES {
            return Err(LuksError::Stripes {
                slot: index,
                stripes: slot.stripes.cast_signed(),
            });
        }
        if matches!(slot.state, SlotState::Corrupted(_)) {
            return Err(LuksError::SlotState(index));
        }
        if slot.active() && slot.iterations == 0 {
            return Err(LuksError::SlotIterationsZero(index));
        }
        let start = u64::from(slot.material_sector);
        let area = u64::from(Geometry::new(self.key_bytes).area_sectors());
        if start < u64::from(HEADER_SECTORS) {
            return Err(LuksError::SlotOverlapsHeader(index));
        }
        if !detached && start + area > u64::from(self.payload_sector) {
            return Err(LuksError::SlotOverlapsPayload(index));
        }
        for (other, later) in self.slots.iter().enumerate().skip(index + 1) {
            let other_start = u64::from(later.material_sector);
            if start < other_start + area && other_start < start + area {
                return Err(LuksError::SlotsOverlap(index, other));
            }
        }
        Ok(())
    }
}

/// A name up to its NUL, as text for comparison and for messages.
fn terminated(field: &[u8; 32], what: &'static str) -> Result<String, LuksError> {
    let mut pieces = field.splitn(2, |byte| *byte == 0);
    let name = pieces.next().unwrap_or_default();
    match pieces.next() {
        Some(_) => Ok(String::from_utf8_lossy(name).into_owned()),
        None => Err(LuksError::Unterminated(what)),
    }
}

/// Rows 15–20.
fn parse_names(
    cipher_name: &str,
    cipher_mode: &str,
    hash_spec: &str,
    key_bytes: u32,
) -> Result<(CipherSuite, HashAlgorithm), LuksError> {
    let (mode_name, rest) = cipher_mode
        .split_once('-')
        .ok_or_else(|| LuksError::ModeFormat(cipher_mode.to_owned()))?;
    let (iv_name, iv_hash) = match rest.split_once(':') {
        Some((iv_name, hash_name)) => (iv_name, Some(known_hash(hash_name)?)),
        None => (rest, None),
    };
    let mode =
        CipherMode::from_name(mode_name).ok_or_else(|| LuksError::Mode(mode_name.to_owned()))?;
    let cipher_key_bytes = match mode {
        CipherMode::Xts => key_bytes / 2,
        _ => key_bytes,
    };
    let algorithm = CipherFamily::from_luks_name(cipher_name)
        .zip(usize::try_from(cipher_key_bytes).ok())
        .and_then(|(family, bytes)| CipherAlgorithm::with_key_bytes(family, bytes))
        .ok_or_else(|| LuksError::Cipher {
            name: cipher_name.to_owned(),
            key_bytes: cipher_key_bytes,
        })?;
    let hash = known_hash(hash_spec)?;
    let iv = IvAlgorithm::from_name(iv_name)
        .ok_or_else(|| LuksError::IvGenerator(iv_name.to_owned()))?;
    ivgen::validate(iv, iv_hash, algorithm)
        .map_err(|error| LuksError::IvHash(error.to_string()))?;
    let suite = CipherSuite {
        algorithm,
        mode,
        iv,
        iv_hash,
    };
    Ok((suite, hash))
}

fn known_hash(name: &str) -> Result<HashAlgorithm, LuksError> {
    HashAlgorithm::from_name(name).ok_or_else(|| LuksError::Hash(name.to_owned()))
}

#[cfg(test)]
mod tests;
