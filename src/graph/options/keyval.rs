//! The stricter text form that `--object` takes: every name needs a value, names follow rules.

use super::parse::split_value;
use crate::base::{Error, Result};
use crate::graph::OptionTree;

/// What a `--object` text says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Keyval {
    /// The options.
    pub tree: OptionTree,
    /// `help` or `?` was among them.
    pub help: bool,
}

/// Parses `text`; a first value without a name belongs to `implied`.
pub fn parse_keyval(text: &str, implied: &str) -> Result<Keyval> {
    let mut parsed = Keyval::default();
    let mut rest = text;
    let mut first = true;
    while !rest.is_empty() {
        let name_length = rest.find(['=', ',']).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(name_length);
        if let Some(value) = behind.strip_prefix('=') {
            check_name(name)?;
            let (value, after) = split_value(value);
            check_consistent(&parsed.tree, name)?;
            parsed.tree.set(name, value);
            rest = after;
        } else {
            let after = behind.strip_prefix(',').unwrap_or("");
            if name == "help" || name == "?" {
                parsed.help = true;
            } else if first && !name.is_empty() {
                parsed.tree.set(implied, name);
            } else {
                check_name(name)?;
                return Err(Error::caller(format!(
                    "Expected '=' after parameter '{name}'"
                )));
            }
            rest = after;
        }
        first = false;
    }
    Ok(parsed)
}

/// Fragments between dots start with a letter.
fn check_name(name: &str) -> Result<()> {
    let well_formed = name.split('.').all(|fragment| {
        let mut characters = fragment.chars();
        characters.next().is_some_and(|c| c.is_ascii_alphabetic())
            && characters.all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    });
    if well_formed {
        Ok(())
    } else {
        Err(Error::caller(format!("Invalid parameter '{name}'")))
    }
}

/// A name can't be a value and a group at once.
fn check_consistent(tree: &OptionTree, name: &str) -> Result<()> {
    let clash = |shorter: &str, longer: &str| {
        longer
            .strip_prefix(shorter)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    for (known, _) in tree.iter() {
        if clash(known, name) || clash(name, known) {
            let group = if known.len() < name.len() {
                known
            } else {
                name
            };
            return Err(Error::caller(format!(
                "Parameters '{group}.*' used inconsistently"
            )));
        }
    }
    Ok(())
}
