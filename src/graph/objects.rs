//! `--object`: secrets, and the other types by name.

mod throttle_group;

use std::sync::Arc;

use serde_json::Value;
use zeroize::{Zeroize, Zeroizing};

use super::OptionTree;
use super::options::parse_keyval;
use crate::base::error::strerror;
use crate::base::{Error, Result};
use crate::crypto::secret::{Secret, SecretDefinition, SecretFormat, SecretStore};

pub use self::throttle_group::ThrottleGroups;

/// The object type besides secrets that is built here.
const GROUP: &str = "throttle-group";

/// What the real tools list.
const CREATABLE: [&str; 12] = [
    "authz-list",
    "authz-list-file",
    "authz-simple",
    "main-loop",
    "pr-manager-helper",
    "secret",
    "secret_keyring",
    "thread-context",
    "throttle-group",
    "tls-creds-anon",
    "tls-creds-psk",
    "tls-creds-x509",
];

/// Names that the real tools know and answer `invalid object type` to.
const ELSEWHERE: [&str; 10] = [
    "can-bus",
    "cryptodev-backend",
    "cryptodev-backend-builtin",
    "iommufd",
    "iothread",
    "memory-backend-file",
    "memory-backend-ram",
    "rng-builtin",
    "rng-random",
    "tls-cipher-suites",
];

const SECRET_HELP: &str = "secret options:\n  data=<string>\n  file=<string>\n  format=<QCryptoSecretFormat>\n  iv=<string>\n  keyid=<string>";

/// Adds what one `--object` argument describes. `Some`: help was asked for; it is printed and the tool ends well.
pub fn add_object(
    text: &str,
    secrets: &mut SecretStore,
    groups: &mut ThrottleGroups,
) -> Result<Option<String>> {
    let json = text.starts_with('{');
    let mut tree = if text.starts_with('{') {
        let value = WipedJson(super::json::parse(text)?);
        check_string_types(&value.0)?;
        OptionTree::from_json(&value.0)
    } else {
        let parsed = parse_keyval(text, "qom-type")?;
        if parsed.help {
            return help(parsed.tree).map(Some);
        }
        parsed.tree
    };
    let kind = tree
        .take_text("qom-type")
        .ok_or_else(|| missing("qom-type"))?;
    check_type(&kind)?;
    let id = tree.take_text("id").ok_or_else(|| missing("id"))?;
    if kind == GROUP {
        let group = throttle_group::group(tree, json)?;
        check_identifier(&id)?;
        if groups.contains_key(&id) || secrets.lookup(&id).is_ok() {
            return Err(Error::caller(format!(
                "attempt to add duplicate property '{id}' to object (type 'container')"
            )));
        }
        secrets.reserve(&id);
        groups.insert(id, Arc::new(group));
        return Ok(None);
    }
    let definition = secret_definition(id, tree)?;
    secrets.define(definition)?;
    Ok(None)
}

/// A parsed text whose strings are wiped when it goes.
struct WipedJson(Value);

impl Drop for WipedJson {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        _ => {}
    }
}

fn missing(name: &str) -> Error {
    Error::caller(format!("Parameter '{name}' is missing"))
}

fn check_string_types(value: &Value) -> Result<()> {
    let Value::Object(members) = value else {
        return Ok(());
    };
    for name in ["qom-type", "id", "data", "file", "format", "keyid", "iv"] {
        if members.get(name).is_some_and(|value| !value.is_string()) {
            return Err(Error::caller(format!(
                "Invalid parameter type for '{name}', expected: string"
            )));
        }
    }
    Ok(())
}

fn check_type(kind: &str) -> Result<()> {
    if kind == "secret" || kind == GROUP {
        return Ok(());
    }
    Err(if CREATABLE.contains(&kind) {
        Error::unsupported(format!("Object type '{kind}' is not supported"))
    } else if ELSEWHERE.contains(&kind) {
        Error::caller(format!("invalid object type: {kind}"))
    } else {
        Error::caller(format!(
            "Parameter 'qom-type' does not accept value '{kind}'"
        ))
    })
}

fn help(mut tree: OptionTree) -> Result<String> {
    let Some(kind) = tree.take_text("qom-type") else {
        let mut text = "List of user creatable objects:".to_owned();
        for name in CREATABLE {
            text.push_str("\n  ");
            text.push_str(name);
        }
        return Ok(text);
    };
    check_type(&kind)?;
    Ok(if kind == GROUP {
        throttle_group::HELP.to_owned()
    } else {
        SECRET_HELP.to_owned()
    })
}

fn secret_definition(id: String, mut tree: OptionTree) -> Result<SecretDefinition> {
    let data = tree.take_text("data").map(Zeroizing::new);
    let file = tree.take_text("file");
    let format = tree
        .take_text("format")
        .map(|text| text.parse::<SecretFormat>())
        .transpose()?
        .unwrap_or_default();
    let key_id = tree.take_text("keyid");
    let iv = tree.take_text("iv");
    if let Some((name, _)) = tree.iter().next() {
        return Err(unexpected(name));
    }
    check_identifier(&id)?;
    let content = match (data, file) {
        (Some(data), None) => Secret::new(data.as_bytes().to_vec()),
        (None, Some(file)) => read_secret(&file)?,
        (None, None) => return Err(Error::caller("Either 'file' or 'data' must be provided")),
        (Some(_), Some(_)) => {
            return Err(Error::caller("'file' and 'data' are mutually exclusive"));
        }
    };
    Ok(SecretDefinition {
        id,
        content,
        format,
        key_id,
        iv,
    })
}

fn unexpected(name: &str) -> Error {
    const KNOWN: [&str; 5] = ["data", "file", "format", "keyid", "iv"];
    match name.split_once('.') {
        Some((group, _)) if KNOWN.contains(&group) => {
            Error::caller(format!("Parameters '{group}.*' are unexpected"))
        }
        Some((group, _)) => Error::caller(format!("Parameter '{group}' is unexpected")),
        None => Error::caller(format!("Parameter '{name}' is unexpected")),
    }
}

/// Refuses what can't be the `id` of an object or of a list of options.
pub fn check_identifier(id: &str) -> Result<()> {
    let mut characters = id.chars();
    let well_formed = characters.next().is_some_and(|c| c.is_ascii_alphabetic())
        && characters.all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    if well_formed {
        return Ok(());
    }
    Err(
        Error::caller("Parameter 'id' expects an identifier").with_hint(
            "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter.",
        ),
    )
}

fn read_secret(file: &str) -> Result<Secret> {
    let words = |what: &str, error: &std::io::Error| {
        let reason = strerror(error.raw_os_error().unwrap_or_default());
        Error::caller(format!("Unable to read {file}: {what} “{file}”: {reason}"))
    };
    let opened = std::fs::File::open(file).map_err(|error| words("Failed to open file", &error))?;
    let mut bytes = Zeroizing::new(Vec::new());
    std::io::Read::read_to_end(&mut std::io::BufReader::new(opened), &mut bytes)
        .map_err(|error| words("Error reading file", &error))?;
    Ok(Secret::new(bytes.to_vec()))
}

#[cfg(test)]
mod tests;
