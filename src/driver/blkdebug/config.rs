//! The configuration file: sections of `key = "value"` lines.

use std::collections::HashSet;

use crate::base::{Error, Result};

/// A section and its entries, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// `inject-error` or `set-state`.
    pub group: String,
    /// Names and values.
    pub entries: Vec<(String, String)>,
}

const GROUPS: [&str; 2] = ["inject-error", "set-state"];

/// The sections of a configuration file.
pub fn parse_config(text: &str) -> Result<Vec<Section>> {
    let mut sections: Vec<Section> = Vec::new();
    let mut ids: HashSet<(&str, &str)> = HashSet::new();
    for line in text
        .split_inclusive('\n')
        .filter(|line| !line.starts_with('#'))
    {
        if let Some((group, id)) = section_name(line) {
            if !GROUPS.contains(&group) {
                return Err(Error::caller(format!("There is no option group '{group}'")));
            }
            if id.is_some_and(|id| !ids.insert((group, id))) {
                let id = id.unwrap_or_default();
                return Err(Error::caller(format!("Duplicate ID '{id}' for {group}")));
            }
            sections.push(Section {
                group: group.to_owned(),
                entries: Vec::new(),
            });
            continue;
        }
        let Some(name) = line.split_whitespace().next() else {
            continue;
        };
        let section = sections
            .last_mut()
            .ok_or_else(|| Error::caller("no group defined"))?;
        section
            .entries
            .push((name.to_owned(), value(line, name).to_owned()));
    }
    Ok(sections)
}

/// `[group]` or `[group "id"]`; a bracket that is not closed takes the line with its end.
fn section_name(line: &str) -> Option<(&str, Option<&str>)> {
    let inside = line.strip_prefix('[')?;
    if let Some((group, rest)) = inside.split_once(' ')
        && let Some(id) = rest.trim_start().strip_prefix('"')
        && let Some((id, _)) = id.split_once('"')
    {
        return Some((group, Some(id)));
    }
    let end = inside.find(']').unwrap_or(inside.len());
    Some((&inside[..end], None))
}

/// What stands between quotes behind the equals sign; nothing when the line has another form.
fn value<'a>(line: &'a str, name: &str) -> &'a str {
    line.trim_start()
        .strip_prefix(name)
        .and_then(|rest| rest.trim_start().strip_prefix('='))
        .and_then(|rest| rest.trim_start().strip_prefix('"'))
        .and_then(|rest| rest.split('"').next())
        .unwrap_or("")
}
