//! The one option tree that `-o`, `--image-opts`, `json:` and QMP objects all become.

mod keyval;
mod parse;
pub mod values;

use serde_json::Value;

use crate::base::{Error, Result};

pub use keyval::{Keyval, parse_keyval};
pub use parse::{Parsed, parse_options};

/// Options by dotted name (`file.filename`, `encrypt.key-secret`), in the order given.
///
/// Values are strings (from `-o` and `--image-opts`) or JSON scalars (from `json:`); the typed getters accept both,
/// as the real tools do. A reader *takes* what it knows; what is left over is refused by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OptionTree {
    entries: Vec<(String, Value)>,
}

impl OptionTree {
    /// Sets an option; the last one wins and keeps the first one's place.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        match self.entries.iter_mut().find(|(known, _)| known == name) {
            Some(entry) => entry.1 = value,
            None => self.entries.push((name.to_owned(), value)),
        }
    }

    /// The value of an option.
    pub fn lookup(&self, name: &str) -> Option<&Value> {
        self.entries
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }

    /// Removes an option and gives its value.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        let index = self.entries.iter().position(|(known, _)| known == name)?;
        Some(self.entries.remove(index).1)
    }

    /// All options, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries
            .iter()
            .map(|(name, value)| (name.as_str(), value))
    }

    /// True when nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Removes everything below `prefix` (which ends with a dot) and gives it as a tree of its own.
    #[must_use]
    pub fn take_below(&mut self, prefix: &str) -> Self {
        let mut below = Self::default();
        self.entries
            .retain(|(name, value)| match name.strip_prefix(prefix) {
                Some(rest) => {
                    below.entries.push((rest.to_owned(), value.clone()));
                    false
                }
                None => true,
            });
        below
    }

    /// Adds what `other` has; where both have an option, this tree's value stays.
    pub fn merge_missing(&mut self, other: Self) {
        for (name, value) in other.entries {
            if self.lookup(&name).is_none() {
                self.entries.push((name, value));
            }
        }
    }

    /// Sets what `other` has.
    pub fn merge(&mut self, other: Self) {
        for (name, value) in other.entries {
            self.set(&name, value);
        }
    }

    /// The tree of a `json:` pseudo file name (the text behind `json:`): nested objects become dotted names.
    pub fn from_json_name(text: &str) -> Result<Self> {
        let value = super::json::parse(text)
            .map_err(|error| error.prefixed("Could not parse the JSON options: "))?;
        match value {
            Value::Object(_) => Ok(Self::from_json(&value)),
            _ => Err(Error::caller("Invalid JSON object given")),
        }
    }

    /// The tree of a JSON object.
    pub fn from_json(value: &Value) -> Self {
        let mut tree = Self::default();
        tree.flatten("", value);
        tree
    }

    fn flatten(&mut self, name: &str, value: &Value) {
        let below = |key: &str| {
            if name.is_empty() {
                key.to_owned()
            } else {
                format!("{name}.{key}")
            }
        };
        match value {
            // A nested object and a dotted name may collide: the nested one wins, whatever the order.
            Value::Object(members) => {
                for (key, member) in members.iter().filter(|(_, member)| !nested(member)) {
                    self.flatten(&below(key), member);
                }
                for (key, member) in members.iter().filter(|(_, member)| nested(member)) {
                    self.flatten(&below(key), member);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.flatten(&below(&index.to_string()), item);
                }
            }
            scalar => self.set(name, scalar.clone()),
        }
    }
}

const fn nested(value: &Value) -> bool {
    matches!(value, Value::Object(_) | Value::Array(_))
}

#[cfg(test)]
mod tests;
