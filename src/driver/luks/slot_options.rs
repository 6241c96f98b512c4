//! The options that change key slots (luks1 §8).

use std::str::FromStr;

use super::create_options::parse_number;
use crate::base::{Error, Result};

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
    /// Sets one option by its name without prefix; false when there is no such option. `prefix` (`""` or
    /// `"encrypt."`) shows in messages about bad numbers.
    pub fn set(&mut self, name: &str, value: &str, prefix: &str) -> Result<bool> {
        let number = || {
            parse_number(value).ok_or_else(|| {
                Error::caller(format!("Parameter '{prefix}{name}' expects a number"))
            })
        };
        match name {
            "state" => self.state = Some(value.parse()?),
            "new-secret" => self.new_secret = Some(value.to_owned()),
            "old-secret" => self.old_secret = Some(value.to_owned()),
            "keyslot" => self.keyslot = Some(number()?),
            "iter-time" => self.iter_time_ms = Some(number()?),
            _ => return Ok(false),
        }
        Ok(true)
    }
}
