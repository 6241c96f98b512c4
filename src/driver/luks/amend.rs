//! Adding and erasing key slots (luks1 §8).
//!
//! Whatever happens between two writes, some passphrase that worked before or is being added opens the volume: key
//! material is durable before a header names it, and a header stops naming it, durably, before it is overwritten.

use zeroize::Zeroizing;

use super::slot_options::{KeySlotOptions, SlotTarget};
use super::unlock::{self, MasterKey};
use super::volume::{HeaderAccess, inspect_volume};
use crate::base::{Error, Result};
use crate::crypto::secret::{Secret, SecretStore};
use crate::crypto::{kdf, random};
use crate::format::luks1::slot::{KeySlot, SlotState};
use crate::format::luks1::{Header, SLOT_COUNT};

/// How often erased key material is overwritten, as the real tool does.
const ERASE_PASSES: u32 = 40;
const DEFAULT_ITER_TIME_MS: i64 = 2000;

/// What a change of key slots needs besides the options.
pub struct AmendContext<'a> {
    /// The passphrase that the image was opened with: it unlocks the master key.
    pub unlock: &'a Secret,
    /// The secrets that the options name.
    pub secrets: &'a SecretStore,
    /// The payload lies in another file.
    pub detached: bool,
    /// More PBKDF2 iterations than this are refused.
    pub max_iterations: u32,
}

/// Changes the key slots of the volume behind `access`; gives the header as it is afterwards.
pub fn amend_volume(
    access: &mut HeaderAccess<'_>,
    context: &AmendContext<'_>,
    options: &KeySlotOptions,
) -> Result<Header> {
    let header = inspect_volume(access.read, context.detached)?;
    let mut amend = Amend {
        access,
        context,
        options,
        header,
    };
    match options.state {
        SlotTarget::Active => amend.activate()?,
        SlotTarget::Inactive => amend.erase()?,
    }
    Ok(amend.header)
}

struct Amend<'a, 'b> {
    access: &'a mut HeaderAccess<'b>,
    context: &'a AmendContext<'a>,
    options: &'a KeySlotOptions,
    header: Header,
}

impl Amend<'_, '_> {
    fn activate(&mut self) -> Result<()> {
        let options = self.options;
        let Some(new_secret) = &options.new_secret else {
            return Err(Error::caller(
                "'new-secret' is required to activate a keyslot",
            ));
        };
        if options.old_secret.is_some() {
            return Err(Error::caller(
                "'old-secret' must not be given when activating keyslots",
            ));
        }
        let index = self.slot_to_fill()?;
        let passphrase = self.context.secrets.passphrase(new_secret)?;
        let key_bytes = self.header.suite().key_bytes();
        let time = options.iter_time_ms.unwrap_or(DEFAULT_ITER_TIME_MS);
        let iterations =
            kdf::iterations_for(self.header.hash(), key_bytes, time, 1).map_err(|error| {
                error.with_unended_hint(format!("Failed to write to keyslot {index}"))
            })?;
        let master = unlock::find_master_key(
            &self.header,
            self.access.read,
            self.context.unlock,
            self.context.max_iterations,
        )?;
        if !self.slot(index)?.active() {
            return self.fill_slot(index, &master, &passphrase, iterations);
        }
        // The slot is overwritten. When nothing else opens the volume, the new passphrase stands in for a while.
        let spare = match self.first_empty_slot() {
            Some(spare) if self.active_slots() == 1 => {
                self.fill_slot(spare, &master, &passphrase, iterations)?;
                Some(spare)
            }
            _ => None,
        };
        // A slot whose material is half written must not look like one that works.
        self.disable(&[index])?;
        self.fill_slot(index, &master, &passphrase, iterations)?;
        match spare {
            Some(spare) => self.erase_slots(&[spare]),
            None => Ok(()),
        }
    }

    fn slot_to_fill(&self) -> Result<usize> {
        let Some(given) = self.options.keyslot else {
            return self
                .first_empty_slot()
                .ok_or_else(|| Error::caller("Can't add a keyslot - all keyslots are in use"));
        };
        let index = valid_index(given).ok_or_else(|| {
            // The real tool prints it unsigned here, signed when it erases.
            invalid_slot(low_half(given).cast_unsigned())
        })?;
        if self.slot(index)?.active() && !self.options.force {
            return Err(Error::caller(format!(
                "Refusing to overwrite active keyslot {index} - please erase it first"
            )));
        }
        Ok(index)
    }

    fn erase(&mut self) -> Result<()> {
        let options = self.options;
        if options.new_secret.is_some() {
            return Err(Error::caller(
                "'new-secret' must not be given when erasing keyslots",
            ));
        }
        if options.iter_time_ms.is_some() {
            return Err(Error::caller(
                "'iter-time' must not be given when erasing keyslots",
            ));
        }
        let old = match &options.old_secret {
            Some(id) => Some(self.context.secrets.passphrase(id)?),
            None => None,
        };
        let slots = match (options.keyslot, old) {
            (Some(given), old) => vec![self.one_slot_to_erase(given, old.as_ref())?],
            (None, Some(old)) => self.slots_to_erase(&old)?,
            (None, None) => {
                return Err(Error::caller(
                    "To erase keyslot(s), either explicit keyslot index or the password currently contained in them must be given",
                ));
            }
        };
        self.erase_slots(&slots)
    }

    fn one_slot_to_erase(&self, given: i64, old: Option<&Secret>) -> Result<usize> {
        let index = valid_index(given).ok_or_else(|| invalid_slot(low_half(given)))?;
        if let Some(old) = old
            && !self.opens(index, old)?
        {
            return Err(Error::key(format!(
                "Given keyslot {index} doesn't contain the given old password for erase operation"
            )));
        }
        let active = self.slot(index)?.active();
        if !active && !self.options.force {
            // The blank at the end is the real tool's.
            return Err(Error::caller(format!(
                "Given keyslot {index} is already erased (inactive) "
            )));
        }
        if active && self.active_slots() == 1 && !self.options.force {
            return Err(Error::caller(format!(
                "Attempt to erase the only active keyslot {index} which will erase all the data in the image irreversibly - refusing operation"
            )));
        }
        Ok(index)
    }

    fn slots_to_erase(&self, old: &Secret) -> Result<Vec<usize>> {
        let mut slots = Vec::new();
        for index in 0..SLOT_COUNT {
            if self.opens(index, old)? {
                slots.push(index);
            }
        }
        if slots.is_empty() {
            return Err(Error::key(
                "No keyslots match given (old) password for erase operation",
            ));
        }
        if slots.len() == self.active_slots() && !self.options.force {
            return Err(Error::caller(
                "All the active keyslots match the (old) password that was given and erasing them will erase all the data in the image irreversibly - refusing operation",
            ));
        }
        Ok(slots)
    }

    /// Material first, then the header that names it, each durable before the next.
    fn fill_slot(
        &mut self,
        index: usize,
        master: &MasterKey,
        passphrase: &Secret,
        iterations: u32,
    ) -> Result<()> {
        unlock::store_in_slot(
            &mut self.header,
            index,
            master,
            passphrase,
            iterations,
            self.access.write,
        )?;
        (self.access.flush)()?;
        self.write_header()
    }

    /// The header first: material that is being overwritten belongs to no slot.
    fn erase_slots(&mut self, slots: &[usize]) -> Result<()> {
        self.disable(slots)?;
        for index in slots {
            let offset = self.slot(*index)?.material_offset();
            let length = usize::try_from(self.header.material_bytes())
                .map_err(|_| Error::caller("the key material is too long"))?;
            let mut noise = Zeroizing::new(vec![0; length]);
            for _ in 0..ERASE_PASSES {
                random::fill(&mut noise)?;
                (self.access.write)(offset, &noise)?;
                // Or all passes but the last would end in the page cache.
                (self.access.flush)()?;
            }
        }
        Ok(())
    }

    fn disable(&mut self, slots: &[usize]) -> Result<()> {
        for (index, slot) in self.header.slots.iter_mut().enumerate() {
            if slots.contains(&index) {
                slot.state = SlotState::Disabled;
                slot.iterations = 0;
                slot.salt = [0; 32];
            }
        }
        self.write_header()
    }

    fn write_header(&mut self) -> Result<()> {
        (self.access.write)(0, &self.header.encode())?;
        (self.access.flush)()
    }

    fn opens(&self, index: usize, passphrase: &Secret) -> Result<bool> {
        let cap = self.context.max_iterations;
        unlock::try_slot(&self.header, index, self.access.read, passphrase, cap)
            .map(|key| key.is_some())
    }

    fn slot(&self, index: usize) -> Result<&KeySlot> {
        self.header
            .slots
            .get(index)
            .ok_or_else(|| invalid_slot(index))
    }

    fn active_slots(&self) -> usize {
        self.header
            .slots
            .iter()
            .filter(|slot| slot.active())
            .count()
    }

    fn first_empty_slot(&self) -> Option<usize> {
        self.header.slots.iter().position(|slot| !slot.active())
    }
}

/// Observed: only the low 32 bits are looked at.
#[expect(clippy::cast_possible_truncation, reason = "what the real tool does")]
const fn low_half(given: i64) -> i32 {
    given as i32
}

fn valid_index(given: i64) -> Option<usize> {
    usize::try_from(low_half(given))
        .ok()
        .filter(|index| *index < SLOT_COUNT)
}

fn invalid_slot(given: impl std::fmt::Display) -> Error {
    Error::caller(format!(
        "Invalid keyslot {given} specified, must be between 0 and 7"
    ))
}

#[cfg(test)]
mod tests;
