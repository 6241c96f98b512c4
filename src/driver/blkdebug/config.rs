//! The configuration file: sections of `key = "value"` lines.

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
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(group) = section_name(line) {
            if !GROUPS.contains(&group) {
                return Err(Error::caller(format!("There is no option group '{group}'")));
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

/// `[group]` or `[group "id"]`.
fn section_name(line: &str) -> Option<&str> {
    let inside = line.strip_prefix('[')?;
    let end = inside.find([']', ' '])?;
    Some(&inside[..end])
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
