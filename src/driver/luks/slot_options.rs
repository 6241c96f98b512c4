//! The options that change key slots (luks1 §8).

use std::str::FromStr;

use crate::base::size::signed_number;
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySlotOptions {
    /// `state`.
    pub state: SlotTarget,
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
    /// What a request asks for. Of several faults the first in the real tool's order is told.
    pub fn from_change(change: &KeySlotChange, force: bool) -> Result<Self> {
        let state = change
            .state
            .as_deref()
            .ok_or_else(|| Error::caller("Parameter 'state' is missing"))?;
        Ok(Self {
            state: state.parse()?,
            new_secret: change.new_secret.clone(),
            old_secret: change.old_secret.clone(),
            keyslot: number("keyslot", change.keyslot.as_deref())?,
            iter_time_ms: number("iter-time", change.iter_time.as_deref())?,
            force,
        })
    }
}

fn number(name: &str, text: Option<&str>) -> Result<Option<i64>> {
    text.map(|text| {
        signed_number(text)
            .ok_or_else(|| Error::caller(format!("Parameter '{name}' expects integer")))
    })
    .transpose()
}
