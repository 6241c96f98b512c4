//! The command lines that earn a row its "same", and the reasons of rows that differ.
//!
//! `== TITLE` starts a section, the next line is its command line with `{}` where the option goes. Then one line for
//! each probe: `NAME VALUE`, with a command line of its own behind ` @ `. Each of the option's names is tried.
//! `!NAME why`: different on purpose. `?NAME why`: not supported. A name that no help lists gets a row all the same.

use std::collections::BTreeMap;

use super::help::Section;

/// Why a row is not the same.
pub enum Reason {
    OnPurpose(String),
    Missing(String),
}

#[derive(Default)]
struct Group {
    line: String,
    /// Name, value, command line of its own.
    probes: Vec<(String, String, Option<String>)>,
    reasons: BTreeMap<String, Reason>,
}

pub struct Probes(BTreeMap<String, Group>);

impl Probes {
    pub fn parse(texts: &[&str]) -> Self {
        let mut groups: BTreeMap<String, Group> = BTreeMap::new();
        let mut title = String::new();
        let lines = texts.iter().flat_map(|text| text.lines());
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(name) = line.strip_prefix("== ") {
                name.clone_into(&mut title);
                groups.entry(title.clone()).or_default();
                continue;
            }
            let group = groups.get_mut(&title).expect("a section is open");
            if group.line.is_empty() {
                line.clone_into(&mut group.line);
            } else if let Some(reason) = line.strip_prefix('!') {
                group.add_reason(reason, Reason::OnPurpose);
            } else if let Some(reason) = line.strip_prefix('?') {
                group.add_reason(reason, Reason::Missing);
            } else {
                let (probe, own) = match line.split_once(" @ ") {
                    Some((probe, own)) => (probe, Some(own.to_owned())),
                    None => (line, None),
                };
                let (name, value) = probe.split_once(' ').unwrap_or((probe, ""));
                group.probes.push((name.to_owned(), value.to_owned(), own));
            }
        }
        Self(groups)
    }

    /// Sections that no help has.
    pub fn strangers(&self, sections: &[Section]) -> Vec<String> {
        self.0
            .keys()
            .filter(|title| sections.iter().all(|section| &section.title != *title))
            .map(|title| format!("probes for {title}, which no help lists"))
            .collect()
    }

    /// The rows of a section, and those that only the probes know.
    pub fn with_unlisted(&self, section: &Section) -> Vec<Vec<String>> {
        let mut rows = section.rows.clone();
        let Some(group) = self.0.get(&section.title) else {
            return rows;
        };
        let probed = group.probes.iter().map(|(name, ..)| name);
        for name in probed.chain(group.reasons.keys()) {
            if !rows.iter().flatten().any(|known| known == name) {
                rows.push(vec![name.clone()]);
            }
        }
        rows
    }

    /// The command lines for an option: each probe under each name.
    pub fn of(&self, title: &str, names: &[String]) -> Vec<String> {
        let Some(group) = self.0.get(title) else {
            return Vec::new();
        };
        let mut lines = Vec::new();
        for (name, value, own) in &group.probes {
            if !names.contains(name) {
                continue;
            }
            let template = own.as_ref().unwrap_or(&group.line);
            for name in names {
                lines.push(template.replace("{}", &given(title, name, value)));
            }
        }
        lines
    }

    pub fn reason(&self, title: &str, names: &[String]) -> Option<&Reason> {
        let group = self.0.get(title)?;
        names.iter().find_map(|name| group.reasons.get(name))
    }
}

impl Group {
    fn add_reason(&mut self, text: &str, kind: fn(String) -> Reason) {
        let (name, why) = text.split_once(' ').expect("a reason has words");
        self.reasons.insert(name.to_owned(), kind(why.to_owned()));
    }
}

/// How an option stands on the command line.
fn given(title: &str, name: &str, value: &str) -> String {
    if title.contains(" -o, ") {
        format!("-o {name}={value}")
    } else if name.ends_with('=') {
        format!("{name}{value}")
    } else if !name.starts_with('-') {
        // The command itself.
        value.to_owned()
    } else if value.is_empty() {
        name.to_owned()
    } else {
        format!("{name} {value}")
    }
}
