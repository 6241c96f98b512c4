//! The options that change key slots (luks1 §8).

use std::str::FromStr;

use crate::base::{Error, Result};
use crate::node::KeySlotChange;

/// What becomes of the slots that are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotTarget {
    /// A slot gets a passphrase.
    Active,
    /// Slots are erased.
    Inactive,
}

impl FromStr for SlotTarget {
    type Err = Error;

    fn from_str(value: &str) -> Result<Self> {
        match value {
            "active" => Ok(Self::Active),
            "inactive" => Ok(Self::Inactive),
            _ => Err(Error::caller(format!(
                "Parameter 'state' does not accept value '{value}'"
            ))),
        }
    }
}

/// A change of key slots, as `amend -o` gives it. Secrets are named by id: which of them is looked up, and when, is part
/// of what the real tools say about bad combinations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySlotOptions {
    /// `state`.
    pub state: Option<SlotTarget>,
    /// `new-secret`.
    pub new_secret: Option<String>,
    /// `old-secret`.
    pub old_secret: Option<String>,
    /// `keyslot`.
    pub keyslot: Option<i64>,
    /// `iter-time`, in milliseconds.
    pub iter_time_ms: Option<i64>,
    /// `--force`.
    pub force: bool,
}

impl KeySlotOptions {
    /// What a request asks for.
    pub fn from_change(change: &KeySlotChange, force: bool) -> Result<Self> {
        Ok(Self {
            state: change.state.as_deref().map(str::parse).transpose()?,
            new_secret: change.new_secret.clone(),
            old_secret: change.old_secret.clone(),
            keyslot: change.keyslot,
            iter_time_ms: change.iter_time_ms,
            force,
        })
    }
}
