//! Where the suite lives: a directory with `iotests/` and `golden/`.

use std::path::{Path, PathBuf};

use super::golden::GoldenStore;
use super::script::{Script, ScriptError};

/// The scripts and their goldens.
#[derive(Debug)]
pub struct Suite {
    /// The directory that holds `iotests/` and `golden/`.
    pub root: PathBuf,
    /// In order of their names.
    pub scripts: Vec<Script>,
    /// What the real tools said.
    pub goldens: GoldenStore,
}

/// Why there is no suite to run.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// No such directory.
    #[error("no iotests in {}: name the suite's directory with --suite", .0.display())]
    Missing(PathBuf),
    /// A script can't be used.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// The directory can't be read.
    #[error("{}: {error}", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}

impl Suite {
    /// The suite of the source tree that this program was built from.
    pub fn default_root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }

    /// Reads the headers of all scripts under `root`.
    pub fn load(root: &Path) -> Result<Self, SuiteError> {
        let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
        let directory = root.join("iotests");
        let entries =
            std::fs::read_dir(&directory).map_err(|_| SuiteError::Missing(root.clone()))?;
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry
                .map_err(|error| SuiteError::Io {
                    path: directory.clone(),
                    error,
                })?
                .path();
            let is_script = path.extension().is_some_and(|extension| extension == "sh");
            if is_script && path.file_name().is_some_and(|name| name != "common.sh") {
                paths.push(path);
            }
        }
        paths.sort();
        let scripts = paths
            .iter()
            .map(|path| Script::load(path))
            .collect::<Result<Vec<_>, _>>()?;
        let goldens = GoldenStore::new(root.join("golden"));
        Ok(Self {
            root,
            scripts,
            goldens,
        })
    }
}
