//! The test of the test: implementations with one fault each, which the group `iv` must catch and name.
//! `cargo test --features mutants --test mutants`

#![expect(clippy::unwrap_used, reason = "a test: what is missing must end it")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use cowproof::driver::mutants::{
    HEAD_IN_CLEAR, LEGACY_HOST_SECTOR, LUKS_GUEST_SECTOR, REUSE_GUEST_SECTOR,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cowproof");

/// The group's words about a subject with that fault, and whether the group let it pass.
fn judged(mutant: &str) -> (String, bool) {
    let directory = tempfile::tempdir().unwrap();
    for tool in ["qemu-img", "qemu-io"] {
        write_tool(&directory.path().join(tool), tool, mutant);
    }
    let subject = format!("mutant={}", directory.path().display());
    let output = Command::new(PROGRAM)
        .args(["run", "--group", "iv", "--subject", &subject])
        .output()
        .unwrap();
    let words = String::from_utf8(output.stdout).unwrap();
    (words, output.status.success())
}

fn write_tool(path: &Path, tool: &str, mutant: &str) {
    let script = format!("#!/bin/bash\nCOWPROOF_MUTANT={mutant} exec -a {tool} {PROGRAM} \"$@\"\n");
    std::fs::write(path, script).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn catches(mutant: &str, words: &str) {
    let (said, passed) = judged(mutant);
    assert!(!passed, "{mutant} was not caught:\n{said}");
    assert!(
        said.contains(words),
        "{mutant} was caught without saying why ({words}):\n{said}"
    );
}

#[test]
fn without_a_fault_the_same_tools_pass() {
    let (said, passed) = judged("none");
    assert!(passed, "{said}");
}

#[test]
fn luks_that_takes_the_guests_sector_is_caught() {
    catches(
        LUKS_GUEST_SECTOR,
        "has its IV from the guest's sector; LUKS in qcow2 takes the file's sector",
    );
}

#[test]
fn legacy_aes_that_takes_the_files_sector_is_caught() {
    catches(
        LEGACY_HOST_SECTOR,
        "has its IV from the file's sector; legacy AES in qcow2 takes the guest's sector",
    );
}

#[test]
fn a_copied_head_in_the_clear_is_caught() {
    catches(HEAD_IN_CLEAR, "is in the clear");
}

#[test]
fn a_reused_cluster_with_the_wrong_sector_is_caught() {
    catches(
        REUSE_GUEST_SECTOR,
        "has its IV from the guest's sector; LUKS in qcow2 takes the file's sector",
    );
}
