//! An iotest script: `iotests/<number>-<name>.sh` and the header that says what it is about.

use std::path::{Path, PathBuf};

/// The image formats that a script may name.
pub const FORMATS: [&str; 4] = ["raw", "qcow", "qcow2", "luks"];

/// The groups that a script may name.
pub const GROUPS: [&str; 39] = [
    "rw",
    "snapshot",
    "backing",
    "map",
    "measure",
    "resize",
    "help",
    "compress",
    "encrypt",
    "convert",
    "commit",
    "rebase",
    "check",
    "hostile",
    "options",
    "io",
    "create",
    "info",
    "compare",
    "dd",
    "bitmap",
    "blkdebug",
    "filters",
    "amend",
    "repair",
    "datafile",
    "locks",
    "lazy",
    "vmstate",
    "luks",
    "aes",
    "refcount",
    "discard",
    "preallocate",
    "limits",
    "errors",
    "extl2",
    "bench",
    "iv",
];

/// A script with its header.
#[derive(Clone, Debug)]
pub struct Script {
    /// `<number>-<name>`.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// What it says about itself.
    pub header: Header,
}

impl Script {
    /// The part of the name before the first `-`.
    pub fn number(&self) -> &str {
        self.name.split('-').next().unwrap_or(&self.name)
    }

    /// Reads a script's header.
    pub fn load(path: &Path) -> Result<Self, ScriptError> {
        let at = |reason| ScriptError {
            path: path.to_owned(),
            reason,
        };
        let text = std::fs::read_to_string(path).map_err(|error| at(error.to_string()))?;
        let name = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default();
        let number = name.split('-').next().unwrap_or_default();
        if number.len() != 3 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(at("the name is not <number>-<name>.sh".to_owned()));
        }
        let header = Header::parse(&text).map_err(at)?;
        Ok(Self {
            name,
            path: path.to_owned(),
            header,
        })
    }
}

/// What a script's leading comments say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// What it is about, in a few words.
    pub title: String,
    /// One line: what is broken when it fails.
    pub breaks: String,
    /// For `-g` and `-x`.
    pub groups: Vec<String>,
    /// It runs once for each.
    pub formats: Vec<String>,
    /// What the machine must have, else it is skipped.
    pub requires: Vec<Requirement>,
    /// Where the idea comes from.
    pub origin: String,
}

/// Something that a machine may lack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// `program:NAME`: a program on PATH.
    Program(String),
    /// `unprivileged`: not root, for whom permissions don't count.
    Unprivileged,
}

impl Header {
    /// Parses `# key: value` lines up to the first line that is no comment. All keys are needed, none may be unknown.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut header = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for line in text.lines().take_while(|line| line.starts_with('#')) {
            if line.starts_with("#!") {
                continue;
            }
            let Some((key, value)) = line
                .strip_prefix("# ")
                .and_then(|line| line.split_once(": "))
            else {
                return Err(format!("header line is not '# key: value': {line}"));
            };
            if seen.contains(&key) {
                return Err(format!("header key '{key}' twice"));
            }
            header.set(key, value.trim())?;
            seen.push(key);
        }
        for key in ["title", "breaks", "groups", "formats", "requires", "origin"] {
            if !seen.contains(&key) {
                return Err(format!("header key '{key}' is missing"));
            }
        }
        Ok(header)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        if value.is_empty() {
            return Err(format!("header key '{key}' says nothing"));
        }
        match key {
            "title" => value.clone_into(&mut self.title),
            "breaks" => value.clone_into(&mut self.breaks),
            "origin" => value.clone_into(&mut self.origin),
            "groups" => self.groups = words_of(key, value, &GROUPS)?,
            "formats" => self.formats = words_of(key, value, &FORMATS)?,
            "requires" => self.requires = requirements(value)?,
            _ => return Err(format!("unknown header key '{key}'")),
        }
        Ok(())
    }
}

fn words_of(key: &str, value: &str, known: &[&str]) -> Result<Vec<String>, String> {
    value
        .split_whitespace()
        .map(|word| {
            known
                .contains(&word)
                .then(|| word.to_owned())
                .ok_or_else(|| format!("unknown word '{word}' in header key '{key}'"))
        })
        .collect()
}

fn requirements(value: &str) -> Result<Vec<Requirement>, String> {
    if value == "nothing" {
        return Ok(Vec::new());
    }
    value
        .split_whitespace()
        .map(|word| match (word, word.strip_prefix("program:")) {
            ("unprivileged", _) => Ok(Requirement::Unprivileged),
            (_, Some(program)) => Ok(Requirement::Program(program.to_owned())),
            _ => Err(format!("unknown requirement '{word}'")),
        })
        .collect()
}

/// A script that can't be used as it stands.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct ScriptError {
    /// The script.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

#[cfg(test)]
mod tests;
