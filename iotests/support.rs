//! What several test targets share: the two pairs of tools.

use std::path::PathBuf;

/// A `qemu-img` and a `qemu-io`.
pub struct Tools {
    pub img: PathBuf,
    pub io: PathBuf,
    /// Holds the links when the tools are ours.
    _links: Option<tempfile::TempDir>,
}

impl Tools {
    /// The real tools on PATH.
    pub fn real() -> Option<Self> {
        let find = |name: &str| {
            std::env::split_paths(&std::env::var_os("PATH")?)
                .map(|dir| dir.join(name))
                .find(|path| path.is_file())
        };
        Some(Self {
            img: find("qemu-img")?,
            io: find("qemu-io")?,
            _links: None,
        })
    }

    /// The built-in reference, through links as a user would have them.
    pub fn ours() -> Self {
        let links = tempfile::tempdir().expect("a temporary directory");
        let link = |name: &str| {
            let path = links.path().join(name);
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_cowproof"), &path).expect("a link");
            path
        };
        Self {
            img: link("qemu-img"),
            io: link("qemu-io"),
            _links: Some(links),
        }
    }

    /// The built-in reference with a fault (`cowproof::driver::mutants`).
    #[cfg(feature = "mutants")]
    #[allow(dead_code, reason = "not every target has a fault to see")]
    pub fn with_fault(mutant: &str) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let scripts = tempfile::tempdir().expect("a temporary directory");
        let script = |name: &str| {
            let path = scripts.path().join(name);
            let program = env!("CARGO_BIN_EXE_cowproof");
            let text =
                format!("#!/bin/bash\nCOWPROOF_MUTANT={mutant} exec -a {name} {program} \"$@\"\n");
            std::fs::write(&path, text).expect("a script");
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(&path, mode).expect("a program");
            path
        };
        Self {
            img: script("qemu-img"),
            io: script("qemu-io"),
            _links: Some(scripts),
        }
    }
}
