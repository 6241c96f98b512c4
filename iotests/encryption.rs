//! What encrypted images have that others have not, beside the real tools: headers in files of their own, and
//! preallocated space that reads as zeros.

#![expect(
    clippy::unwrap_used,
    reason = "what the tests share fails the test as they do"
)]

#[path = "encryption/detached_header.rs"]
mod detached_header;
#[path = "encryption/encrypted_zeros.rs"]
mod encrypted_zeros;
#[path = "support.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::Tools;

const OBJECT: &str = "secret,id=s,data=a password";

/// A directory, and the tools that work in it.
struct Scene {
    directory: tempfile::TempDir,
    ours: Tools,
    real: Tools,
}

impl Scene {
    /// `None`, loudly, where the real tools are missing.
    fn new() -> Option<Self> {
        let Some(real) = Tools::real() else {
            eprintln!("skipped(no qemu-img)");
            return None;
        };
        Some(Self {
            directory: tempfile::tempdir().unwrap(),
            ours: Tools::ours(),
            real,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Exit code, and what was said on both streams.
    fn run(&self, program: &Path, arguments: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(self.directory.path())
            .output()
            .unwrap();
        let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
        said += &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), said)
    }

    /// `cowproof img create`, which knows more than the drop-in.
    fn create(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut all = vec!["img", "create", "-q", "--object", OBJECT];
        all.extend(arguments);
        self.run(Path::new(env!("CARGO_BIN_EXE_cowproof")), &all)
    }

    /// `qemu-io` on `image`, an `--image-opts`; true when all commands succeed and every pattern is there.
    fn io(&self, tools: &Tools, image: &str, commands: &[&str]) -> bool {
        let mut all = vec!["--object", OBJECT, "--image-opts"];
        for command in commands {
            all.extend(["-c", command]);
        }
        all.push(image);
        let (code, said) = self.run(&tools.io, &all);
        code == Some(0) && !said.contains("Pattern verification failed")
    }
}
