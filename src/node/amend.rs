//! What `amend` changes of an image that exists.

use crate::base::size::signed_number;
use crate::base::{Error, Result};
use crate::crypto::secret::SecretStore;

/// Gets the work that is done and the work that there is in all.
pub type AmendProgress<'a> = &'a dyn Fn(u64, u64);

/// A change of an image's options; `None` leaves one as it is.
pub struct AmendRequest<'a> {
    /// `compat`, as given.
    pub compat: Option<String>,
    /// Bytes of the disk.
    pub size: Option<u64>,
    /// The backing file's name.
    pub backing_file: Option<String>,
    /// The backing file's format.
    pub backing_format: Option<String>,
    /// The external data file's name.
    pub data_file: Option<String>,
    /// The external data file stays readable as a raw image.
    pub data_file_raw: Option<bool>,
    /// Refcounts are updated late.
    pub lazy_refcounts: Option<bool>,
    /// Bits of a refcount.
    pub refcount_bits: Option<u64>,
    /// A change of key slots.
    pub key_slots: Option<KeySlotChange>,
    /// What would lose data is done all the same.
    pub force: bool,
    /// The secrets that the key slots' change names.
    pub secrets: &'a SecretStore,
    /// Who is told how far it is.
    pub progress: AmendProgress<'a>,
}

impl<'a> AmendRequest<'a> {
    /// Changes nothing yet.
    pub const fn new(secrets: &'a SecretStore, progress: AmendProgress<'a>) -> Self {
        Self {
            compat: None,
            size: None,
            backing_file: None,
            backing_format: None,
            data_file: None,
            data_file_raw: None,
            lazy_refcounts: None,
            refcount_bits: None,
            key_slots: None,
            force: false,
            secrets,
            progress,
        }
    }
}

/// A change of LUKS key slots; secrets by their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySlotChange {
    /// `active` or `inactive`.
    pub state: Option<String>,
    /// The secret that a slot gets.
    pub new_secret: Option<String>,
    /// The secret whose slots are erased.
    pub old_secret: Option<String>,
    /// The one slot that is meant.
    pub keyslot: Option<i64>,
    /// Milliseconds that PBKDF2 takes.
    pub iter_time_ms: Option<i64>,
}

impl KeySlotChange {
    /// Sets one option by its name without prefix; false when there is no such option.
    pub fn set(&mut self, name: &str, value: &str) -> Result<bool> {
        let number = || {
            signed_number(value)
                .ok_or_else(|| Error::caller(format!("Parameter '{name}' expects integer")))
        };
        match name {
            "state" => self.state = Some(value.to_owned()),
            "new-secret" => self.new_secret = Some(value.to_owned()),
            "old-secret" => self.old_secret = Some(value.to_owned()),
            "keyslot" => self.keyslot = Some(number()?),
            "iter-time" => self.iter_time_ms = Some(number()?),
            _ => return Ok(false),
        }
        Ok(true)
    }
}
