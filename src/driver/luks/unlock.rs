//! From a passphrase to the master key and back into a slot (luks1 §4).

use zeroize::Zeroizing;

use super::volume::{ReadHeader, WriteHeader};
use crate::base::iv_sector::IvSector;
use crate::base::{Error, PayloadOffset, Result};
use crate::crypto::cipher::SharedCipher;
use crate::crypto::secret::Secret;
use crate::crypto::{afsplit, kdf, random};
use crate::format::luks1::slot::SlotState;
use crate::format::luks1::{Header, KeySlot, LuksError, STRIPES};

/// A master key: wiped when dropped.
pub type MasterKey = Zeroizing<Vec<u8>>;

fn wrong_size() -> Error {
    Error::invalid("LUKS key material does not fit into memory")
}

fn check_iterations(what: impl Fn() -> String, iterations: u32, cap: u32) -> Result<()> {
    if iterations > cap {
        return Err(LuksError::TooManyIterations {
            what: what(),
            iterations,
            cap,
        }
        .into());
    }
    Ok(())
}

/// Key material is encrypted with the volume's own cipher, sectors counted from the start of the slot's area.
fn slot_cipher(header: &Header, slot: &KeySlot, passphrase: &Secret) -> Result<SharedCipher> {
    let key_bytes = usize::try_from(header.key_bytes).map_err(|_| wrong_size())?;
    let mut key = Zeroizing::new(vec![0; key_bytes]);
    kdf::pbkdf2(
        header.hash(),
        passphrase.bytes(),
        &slot.salt,
        slot.iterations,
        &mut key,
    );
    header.suite().keyed(&key, None)
}

/// The digest that tells whether `key` is the volume's master key.
pub(super) fn master_digest(header: &Header, key: &[u8]) -> [u8; 20] {
    let mut digest = [0; 20];
    kdf::pbkdf2(
        header.hash(),
        key,
        &header.digest_salt,
        header.digest_iterations,
        &mut digest,
    );
    digest
}

/// Tries one slot; `None` when it is empty or the passphrase is another one.
pub(super) fn try_slot(
    header: &Header,
    index: usize,
    read: ReadHeader<'_>,
    passphrase: &Secret,
    max_iterations: u32,
) -> Result<Option<MasterKey>> {
    let Some(slot) = header.slots.get(index).filter(|slot| slot.active()) else {
        return Ok(None);
    };
    header.check_unlockable()?;
    check_iterations(
        || format!("Keyslot {index}"),
        slot.iterations,
        max_iterations,
    )?;
    check_iterations(
        || "Master key".to_owned(),
        header.digest_iterations,
        max_iterations,
    )?;
    // The header's check held key_bytes to what a cipher can have: at most 64 * 4000 bytes here.
    let material_bytes = usize::try_from(header.material_bytes()).map_err(|_| wrong_size())?;
    let key_bytes = usize::try_from(header.key_bytes).map_err(|_| wrong_size())?;
    let cipher = slot_cipher(header, slot, passphrase)?;
    let mut material = Zeroizing::new(vec![0; material_bytes]);
    read(slot.material_offset(), &mut material)?;
    cipher.decrypt(IvSector::from_payload(PayloadOffset::ZERO), &mut material);
    let key = afsplit::merge(header.hash(), &material, key_bytes);
    let right = master_digest(header, &key) == header.digest;
    Ok(right.then_some(key))
}

/// Tries all slots in order; the first that opens wins.
pub(super) fn find_master_key(
    header: &Header,
    read: ReadHeader<'_>,
    passphrase: &Secret,
    max_iterations: u32,
) -> Result<MasterKey> {
    header.check_unlockable()?;
    for index in 0..header.slots.len() {
        if let Some(key) = try_slot(header, index, read, passphrase, max_iterations)? {
            return Ok(key);
        }
    }
    Err(Error::key("Invalid password, cannot unlock any keyslot"))
}

/// Fills slot `index` with the master key under `passphrase`: writes the key material and sets the slot's fields
/// in `header`, which the caller writes afterwards.
pub(super) fn store_in_slot(
    header: &mut Header,
    index: usize,
    master_key: &[u8],
    passphrase: &Secret,
    iterations: u32,
    write: WriteHeader<'_>,
) -> Result<()> {
    let Some(mut slot) = header.slots.get(index).cloned() else {
        return Err(Error::caller(format!("there is no keyslot {index}")));
    };
    slot.state = SlotState::Enabled;
    slot.iterations = iterations;
    random::fill(&mut slot.salt)?;
    let cipher = slot_cipher(header, &slot, passphrase)?;
    let stripes = usize::try_from(STRIPES).map_err(|_| wrong_size())?;
    let mut material = afsplit::split(header.hash(), master_key, stripes)?;
    cipher.encrypt(IvSector::from_payload(PayloadOffset::ZERO), &mut material);
    write(slot.material_offset(), &material)?;
    if let Some(place) = header.slots.get_mut(index) {
        *place = slot;
    }
    Ok(())
}
