//! What a command left on the disk: the files that it made, changed or removed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Longer files are compared by their length only.
const LONGEST_READ: u64 = 64 << 20;

/// What tells a file that was written from one that was not.
type Stamp = (u64, u64, i64, i64);

/// The files of a directory and below.
#[derive(Default)]
pub struct Tree(BTreeMap<String, Stamp>);

impl Tree {
    /// The files as they are now.
    pub fn of(directory: &Path) -> Self {
        let mut tree = Self::default();
        tree.add(directory, "");
        tree
    }

    fn add(&mut self, directory: &Path, prefix: &str) {
        let Ok(entries) = fs::read_dir(directory) else {
            return;
        };
        for entry in entries.flatten() {
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let Ok(facts) = fs::symlink_metadata(entry.path()) else {
                continue;
            };
            if name == ".tools" {
                continue;
            }
            if facts.is_dir() {
                self.add(&entry.path(), &format!("{name}/"));
            } else {
                let stamp = (facts.ino(), facts.len(), facts.mtime(), facts.mtime_nsec());
                self.0.insert(name, stamp);
            }
        }
    }

    /// The names of files that were made, written or removed.
    pub fn changes_since(&self, before: &Self) -> BTreeSet<String> {
        let gone = before.0.keys().filter(|name| !self.0.contains_key(*name));
        let written = self
            .0
            .iter()
            .filter(|(name, stamp)| before.0.get(*name) != Some(stamp))
            .map(|(name, _)| name);
        gone.chain(written).cloned().collect()
    }
}

/// What a file holds, in a form that is short in messages.
pub fn content(path: &Path) -> String {
    let Ok(facts) = fs::metadata(path) else {
        return "no file".to_owned();
    };
    let length = facts.len();
    if length > LONGEST_READ {
        return format!("{length} bytes");
    }
    let mut hasher = DefaultHasher::new();
    fs::read(path).unwrap_or_default().hash(&mut hasher);
    format!("{length} bytes, hash {:x}", hasher.finish())
}
