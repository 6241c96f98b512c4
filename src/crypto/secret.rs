//! Passphrases: wiped when dropped, never printed.

use std::collections::{HashMap, HashSet};
use std::fmt;

use std::str::FromStr;

use zeroize::Zeroizing;

use super::algorithm::bad_value;
use super::secret_decode::{decode_base64, decrypt};
use crate::base::{Error, Result};

/// The bytes of one secret, wiped when dropped. `Debug` does not show them.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes themselves.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How the bytes of a secret are written (`format=`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecretFormat {
    /// As they are.
    #[default]
    Raw,
    /// In base64.
    Base64,
}

impl FromStr for SecretFormat {
    type Err = Error;

    fn from_str(value: &str) -> Result<Self> {
        match value {
            "raw" => Ok(Self::Raw),
            "base64" => Ok(Self::Base64),
            _ => Err(bad_value("format", value)),
        }
    }
}

/// A secret as `--object secret,…` describes it.
#[derive(Clone, Debug)]
pub struct SecretDefinition {
    /// `id=`.
    pub id: String,
    /// What `data=` gives, or what the file of `file=` holds.
    pub content: Secret,
    /// `format=`: how `content` is written.
    pub format: SecretFormat,
    /// `keyid=`: the secret whose bytes are the AES-256-CBC key of `content`.
    pub key_id: Option<String>,
    /// `iv=`: base64 of 16 bytes; looked at only with `keyid`.
    pub iv: Option<String>,
}

/// The secrets that a command line named (`--object secret,id=…`).
#[derive(Debug, Default)]
pub struct SecretStore {
    secrets: HashMap<String, Secret>,
    /// Ids of objects of other kinds.
    others: HashSet<String>,
}

impl SecretStore {
    /// Adds a secret under its id; false when the id is taken.
    pub fn insert(&mut self, id: &str, secret: Secret) -> bool {
        if self.secrets.contains_key(id) {
            return false;
        }
        self.secrets.insert(id.to_owned(), secret);
        true
    }

    /// Remembers an id that belongs to an object of another kind.
    pub fn reserve(&mut self, id: &str) {
        self.others.insert(id.to_owned());
    }

    /// Adds what `--object secret,…` describes, decoded and decrypted (luks1 §10).
    pub fn define(&mut self, definition: SecretDefinition) -> Result<()> {
        let SecretDefinition {
            id,
            content,
            format,
            key_id,
            iv,
        } = definition;
        if self.secrets.contains_key(&id) || self.others.contains(&id) {
            return Err(Error::caller(format!(
                "attempt to add duplicate property '{id}' to object (type 'container')"
            )));
        }
        let secret = match key_id {
            Some(key_id) if key_id == id => {
                return Err(Error::key(format!("Secret with id '{id}' has no data")));
            }
            Some(key_id) => decrypt(&self.lookup(&key_id)?, iv.as_deref(), format, &content)?,
            None => match format {
                SecretFormat::Raw => content,
                SecretFormat::Base64 => Secret::new(decode_base64(content.bytes())?),
            },
        };
        self.secrets.insert(id, secret);
        Ok(())
    }

    /// The secret with that id.
    pub fn lookup(&self, id: &str) -> Result<Secret> {
        if self.others.contains(id) {
            return Err(Error::key(format!("Object with id '{id}' is not a secret")));
        }
        self.secrets
            .get(id)
            .cloned()
            .ok_or_else(|| Error::key(format!("No secret with id '{id}'")))
    }

    /// The secret as a passphrase: UTF-8 without NUL (luks1 §4, qcow1 §7).
    pub fn passphrase(&self, id: &str) -> Result<Secret> {
        let secret = self.lookup(id)?;
        if secret.bytes().contains(&0) || std::str::from_utf8(secret.bytes()).is_err() {
            return Err(Error::key(format!(
                "Data from secret {id} is not valid UTF-8"
            )));
        }
        Ok(secret)
    }
}

#[cfg(test)]
mod tests;
