//! The real `qemu-img` and `qemu-io` for this driver's tests.

use std::process::Command;

/// A directory for images, gone when dropped.
pub(super) struct Scratch(tempfile::TempDir);

impl Scratch {
    /// `None`, loudly, where the real tools are missing.
    pub(super) fn with_real_tools() -> Option<Self> {
        if Command::new("qemu-img").arg("--version").output().is_err() {
            eprintln!("skipped(no qemu-img)");
            return None;
        }
        Some(Self(tempfile::tempdir().expect("a temporary directory")))
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }
}

/// Runs `qemu-img`, which has to succeed; gives standard output.
pub(super) fn qemu_img(arguments: &[&str]) -> String {
    let (success, said) = attempt("qemu-img", arguments);
    assert!(success, "qemu-img {arguments:?}: {said}");
    said
}

/// Runs `qemu-io`; gives standard output and error together.
pub(super) fn qemu_io(arguments: &[&str]) -> String {
    attempt("qemu-io", arguments).1
}

/// Runs a tool; gives success, and standard output and error together.
pub(super) fn attempt(tool: &str, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(tool)
        .args(arguments)
        .output()
        .expect("the real tools run");
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said += &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}
