//! Passphrases: wiped when dropped, never printed.

use std::collections::HashMap;
use std::fmt;

use zeroize::Zeroizing;

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

/// The secrets that a command line named (`--object secret,id=…`).
#[derive(Debug, Default)]
pub struct SecretStore {
    secrets: HashMap<String, Secret>,
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

    /// The secret with that id.
    pub fn lookup(&self, id: &str) -> Result<Secret> {
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
