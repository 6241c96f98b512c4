//! What `amend` changes of an image that exists.

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

/// A change of LUKS key slots; secrets by their ids. Numbers are texts as they were given: what is wrong with them is told
/// behind what is wrong with the image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySlotChange {
    /// `active` or `inactive`.
    pub state: Option<String>,
    /// The secret that a slot gets.
    pub new_secret: Option<String>,
    /// The secret whose slots are erased.
    pub old_secret: Option<String>,
    /// The number of the one slot that is meant.
    pub keyslot: Option<String>,
    /// Milliseconds that PBKDF2 takes.
    pub iter_time: Option<String>,
}

impl KeySlotChange {
    /// Sets one option by its name without prefix; false when there is no such option.
    pub fn set(&mut self, name: &str, value: &str) -> bool {
        let place = match name {
            "state" => &mut self.state,
            "new-secret" => &mut self.new_secret,
            "old-secret" => &mut self.old_secret,
            "keyslot" => &mut self.keyslot,
            "iter-time" => &mut self.iter_time,
            _ => return false,
        };
        *place = Some(value.to_owned());
        true
    }
}
