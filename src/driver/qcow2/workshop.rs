//! What tests of this folder share: a directory, the real tools, images opened by ours.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;

use super::{Qcow2, Qcow2OpenOptions};
use crate::base::Result;
use crate::crypto::secret::Secret;
use crate::driver::file::{File, FileOptions};
use crate::node::HostFile;

/// The passphrase of every encrypted image in these tests.
const PASSPHRASE: &str = "pw";

/// A directory for one test.
pub(crate) struct Workshop {
    directory: tempfile::TempDir,
}

impl Workshop {
    /// `None`, loudly, without the real tools.
    pub(crate) fn new() -> Option<Self> {
        if Command::new("qemu-img").arg("--version").output().is_err() {
            eprintln!("skipped(no qemu-img)");
            return None;
        }
        Some(Self {
            directory: tempfile::tempdir().unwrap(),
        })
    }

    /// The path of a file.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A file's bytes.
    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Overwrites bytes of a file.
    pub(crate) fn patch(&self, name: &str, patches: &[(u64, &[u8])]) {
        use std::os::unix::fs::FileExt;
        let file = std::fs::File::options()
            .write(true)
            .open(self.path(name))
            .unwrap();
        for (at, bytes) in patches {
            file.write_all_at(bytes, *at).unwrap();
        }
    }

    /// Copies a file.
    pub(crate) fn copy(&self, from: &str, to: &str) {
        std::fs::copy(self.path(from), self.path(to)).unwrap();
    }

    /// A real tool, in the directory, with the secret `s`.
    pub(crate) fn try_tool(&self, tool: &str, arguments: &[&str]) -> Output {
        Command::new(tool)
            .current_dir(self.directory.path())
            .env("LC_ALL", "C")
            .args(arguments)
            .output()
            .unwrap()
    }

    /// The same, and it must succeed; gives what it printed.
    pub(crate) fn tool(&self, tool: &str, arguments: &[&str]) -> String {
        let output = self.try_tool(tool, arguments);
        assert!(
            output.status.success(),
            "{tool} {arguments:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// `qemu-img`.
    pub(crate) fn img(&self, arguments: &[&str]) -> String {
        self.tool("qemu-img", arguments)
    }

    /// `qemu-img` with arguments split at spaces.
    pub(crate) fn img_line(&self, line: &str) -> String {
        self.img(&line.split(' ').collect::<Vec<_>>())
    }

    /// `qemu-io` with these commands on an unencrypted qcow2 image.
    pub(crate) fn io(&self, image: &str, commands: &[&str]) -> String {
        let mut arguments = vec!["-f", "qcow2"];
        for command in commands {
            arguments.extend(["-c", command]);
        }
        arguments.push(image);
        self.tool("qemu-io", &arguments)
    }

    /// An image in ours.
    pub(crate) fn try_open(&self, name: &str, options: &Qcow2OpenOptions) -> Result<Arc<Qcow2>> {
        let file = File::open(
            self.path(name).to_str().unwrap(),
            FileOptions {
                writable: options.writable,
                discard: true,
                ..FileOptions::default()
            },
        )?;
        let options = Qcow2OpenOptions {
            key: Some(Secret::new(PASSPHRASE.into())),
            ..options.clone()
        };
        Qcow2::open(HostFile::new(Arc::new(file)), &options)
    }

    /// An image in ours, for reading.
    pub(crate) fn open(&self, name: &str) -> Arc<Qcow2> {
        self.try_open(name, &Qcow2OpenOptions::default()).unwrap()
    }

    /// An image in ours, for writing.
    pub(crate) fn open_writable(&self, name: &str) -> Arc<Qcow2> {
        let options = Qcow2OpenOptions {
            writable: true,
            ..Qcow2OpenOptions::default()
        };
        self.try_open(name, &options).unwrap()
    }
}

/// Panics with the place of the first difference.
#[track_caller]
pub(crate) fn assert_same_bytes(ours: &[u8], real: &[u8], what: &str) {
    if ours != real {
        let differing = ours
            .iter()
            .zip(real)
            .enumerate()
            .filter(|(_, (a, b))| a != b);
        let places: Vec<_> = differing
            .map(|(at, (a, b))| format!("{at:#x}: {a:02x} for {b:02x}"))
            .take(12)
            .collect();
        panic!(
            "{what}: {} bytes, the real tool's has {}; {places:?}",
            ours.len(),
            real.len()
        );
    }
}
