//! The one option tree that `-o`, `--image-opts`, `json:` and QMP objects all become.

use serde_json::Value;

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
}
