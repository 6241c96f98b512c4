//! Goldens: what the real tools said, and who recorded them with what.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// `golden/` and its provenance file.
#[derive(Debug)]
pub struct GoldenStore {
    directory: PathBuf,
}

/// `golden/provenance.json`.
#[derive(Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Provenance {
    /// By golden (`<test>.<format>`), in order.
    pub goldens: BTreeMap<String, Origin>,
}

/// Where one golden comes from. The digest shows a golden that was edited by hand.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Origin {
    /// First line of the tool's `--version`.
    pub tool: String,
    /// The distribution's package and version, where there is one.
    pub package: Option<String>,
    /// SHA-256 of the golden.
    pub sha256: String,
}

impl GoldenStore {
    /// The store in a directory, which need not exist before the first recording.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Where a golden is.
    pub fn path(&self, test: &str, format: &str) -> PathBuf {
        self.directory.join(format!("{test}.{format}.out"))
    }

    /// A golden, `None` when it was never recorded.
    pub fn read(&self, test: &str, format: &str) -> io::Result<Option<String>> {
        match std::fs::read_to_string(self.path(test, format)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The golden for tools of another package: what they word differently is under that package's name, all else
    /// as usual.
    pub fn read_for(
        &self,
        test: &str,
        format: &str,
        package: Option<&str>,
    ) -> io::Result<Option<String>> {
        if let Some(package) = package
            && let Some(golden) = self.edition(package).read(test, format)?
        {
            return Ok(Some(golden));
        }
        self.read(test, format)
    }

    /// Where the goldens of a package are that differ from the usual ones.
    #[must_use]
    pub fn edition(&self, package: &str) -> Self {
        Self::new(self.directory.join(edition_name(package)))
    }

    /// Writes goldens and says where they come from, in one go.
    pub fn record(
        &self,
        recordings: &[Recording],
        tool: &str,
        package: Option<&str>,
    ) -> io::Result<()> {
        std::fs::create_dir_all(&self.directory)?;
        let mut provenance = self.provenance()?;
        for recording in recordings {
            let path = self.path(&recording.test, &recording.format);
            std::fs::write(path, &recording.output)?;
            let origin = Origin {
                tool: tool.to_owned(),
                package: package.map(str::to_owned),
                sha256: digest(recording.output.as_bytes()),
            };
            let name = format!("{}.{}", recording.test, recording.format);
            provenance.goldens.insert(name, origin);
        }
        provenance
            .goldens
            .retain(|name, _| self.directory.join(format!("{name}.out")).exists());
        let mut text = serde_json::to_string_pretty(&provenance)?;
        text.push('\n');
        std::fs::write(self.provenance_path(), text)
    }

    /// Who recorded what.
    pub fn provenance(&self) -> io::Result<Provenance> {
        match std::fs::read(self.provenance_path()) {
            Ok(text) => Ok(serde_json::from_slice(&text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Provenance::default()),
            Err(error) => Err(error),
        }
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn provenance_path(&self) -> PathBuf {
        self.directory.join("provenance.json")
    }
}

/// A package and its version as the name of a directory.
fn edition_name(package: &str) -> String {
    package
        .chars()
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '+' | '~' => c,
            _ => '_',
        })
        .collect()
}

/// One golden to be written.
#[derive(Debug)]
pub struct Recording {
    /// The script's name.
    pub test: String,
    /// The image format.
    pub format: String,
    /// The filtered output.
    pub output: String,
}

/// SHA-256 in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests;
