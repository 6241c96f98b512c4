//! `info` for people.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::super::snapshot::table::table;
use crate::base::size::human;
use crate::job::info::{BackingFacts, Facts};

/// One image with the nodes below it.
pub(super) fn image(facts: &Facts) -> String {
    let mut text = Indented::default();
    text.node(facts, "");
    text.text
}

/// Text whose lines all start with the same blanks.
#[derive(Debug, Default)]
struct Indented {
    text: String,
    depth: usize,
}

impl Indented {
    fn line(&mut self, words: &str) {
        self.text.extend(std::iter::repeat_n("    ", self.depth));
        // Writing to a String does not fail.
        let _ = writeln!(self.text, "{words}");
    }

    fn node(&mut self, facts: &Facts, path: &str) {
        // A node at the bottom of a tree stores bytes; it is a file to people, not an image.
        let stores = !path.is_empty() && facts.children.is_empty();
        let [name, kind, size] = if stores {
            ["filename", "protocol type", "file length"]
        } else {
            ["image", "file format", "virtual size"]
        };
        self.line(&format!("{name}: {}", facts.filename));
        self.line(&format!("{kind}: {}", facts.format));
        let bytes = facts.virtual_size;
        self.line(&format!("{size}: {} ({bytes} bytes)", human(bytes)));
        let used = facts
            .actual_size
            .map_or_else(|| "unavailable".to_owned(), human);
        self.line(&format!("disk size: {used}"));
        if facts.image.encrypted {
            self.line("encrypted: yes");
        }
        if let Some(size) = facts.image.cluster_size {
            self.line(&format!("cluster_size: {size}"));
        }
        if facts.image.dirty {
            self.line("cleanly shut down: no");
        }
        if let Some(backing) = &facts.backing {
            self.backing(backing);
        }
        if !facts.snapshots.is_empty() {
            self.line("Snapshot list:");
            for row in table(&facts.snapshots).lines() {
                self.line(row);
            }
        }
        if let Some((_, data)) = &facts.image.specific
            && !data.is_empty()
        {
            self.line("Format specific information:");
            self.depth += 1;
            self.members(data);
            self.depth -= 1;
        }
        for (edge, child) in &facts.children {
            let path = format!("{path}/{edge}");
            self.line(&format!("Child node '{path}':"));
            self.depth += 1;
            self.node(child, &path);
            self.depth -= 1;
        }
    }

    fn backing(&mut self, backing: &BackingFacts) {
        let BackingFacts {
            name, full_name, ..
        } = backing;
        if name == full_name {
            self.line(&format!("backing file: {name}"));
        } else {
            self.line(&format!("backing file: {name} (actual path: {full_name})"));
        }
        if let Some(format) = &backing.format {
            self.line(&format!("backing file format: {format}"));
        }
    }

    fn members(&mut self, members: &Map<String, Value>) {
        for (name, value) in members {
            self.entry(&name.replace('-', " "), value);
        }
    }

    fn entry(&mut self, name: &str, value: &Value) {
        match value {
            Value::Object(members) => {
                self.line(&format!("{name}:"));
                self.depth += 1;
                self.members(members);
                self.depth -= 1;
            }
            Value::Array(items) => {
                self.line(&format!("{name}:"));
                self.depth += 1;
                for (index, item) in items.iter().enumerate() {
                    self.entry(&format!("[{index}]"), item);
                }
                self.depth -= 1;
            }
            Value::String(string) => self.line(&format!("{name}: {string}")),
            scalar => self.line(&format!("{name}: {scalar}")),
        }
    }
}
