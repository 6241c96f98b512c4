use super::*;

use std::os::unix::fs::symlink;

struct Machine {
    root: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        tool(&root.path().join("cowproof"), "echo none");
        Self { root }
    }

    fn directory(&self, name: &str) -> PathBuf {
        let directory = self.root.path().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        directory
    }

    fn finder(&self, search: &[&str]) -> SubjectFinder {
        SubjectFinder {
            program: self.root.path().join("cowproof"),
            links: self.root.path().join("links"),
            search_path: std::env::join_paths(search.iter().map(|name| self.directory(name)))
                .unwrap(),
        }
    }

    fn real(&self, name: &str) -> PathBuf {
        let directory = self.directory(name);
        for name in TOOL_NAMES {
            tool(
                &directory.join(name),
                &format!("echo {name} version 10.0.2"),
            );
        }
        directory
    }
}

/// Written by a child: a file that this process holds open for writing, if only in another test's fork, can't be run.
fn tool(path: &Path, script: &str) {
    let status = Command::new("sh")
        .args([
            "-c",
            "printf '#!/bin/sh\n%s\n' \"$2\" >\"$1\" && chmod 755 \"$1\"",
            "sh",
        ])
        .args([path.as_os_str(), OsStr::new(script)])
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn auto_passes_over_links_to_ourselves() {
    let machine = Machine::new();
    let ours = machine.directory("ours");
    for name in TOOL_NAMES {
        symlink(machine.root.path().join("cowproof"), ours.join(name)).unwrap();
    }
    let error = machine.finder(&["ours"]).real_tools("qemu").unwrap_err();
    assert_eq!(error.to_string(), "no qemu-img");
    let absent = machine.finder(&["ours"]).find("qemu=auto").unwrap();
    assert_eq!(absent.kind, SubjectKind::Absent);
    let real = machine.real("real");
    let subject = machine.finder(&["ours", "real"]).find("qemu=auto").unwrap();
    assert_eq!(
        (subject.directory, subject.kind),
        (real, SubjectKind::RealTools)
    );
    let named = machine
        .finder(&[])
        .find(&format!("x={}", ours.display()))
        .unwrap();
    assert_eq!(named.kind, SubjectKind::BuiltIn);
}

#[test]
fn a_directory_without_both_tools_is_refused_by_name() {
    let machine = Machine::new();
    let half = machine.directory("half");
    tool(&half.join("qemu-img"), "echo qemu-img version 1");
    let error = machine
        .finder(&[])
        .find(&format!("x={}", half.display()))
        .unwrap_err();
    assert!(error.to_string().contains("no qemu-io in"), "{error}");
}

#[test]
fn tools_that_call_themselves_otherwise_are_not_the_real_ones() {
    let machine = Machine::new();
    let other = machine.real("other");
    tool(&other.join("qemu-io"), "echo their-io 1.0");
    let subject = machine
        .finder(&[])
        .find(&format!("x={}", other.display()))
        .unwrap();
    assert_eq!(subject.kind, SubjectKind::Other);
}

#[test]
fn the_argument_needs_a_name_and_a_place() {
    let machine = Machine::new();
    for argument in ["qemu", "=auto", "x="] {
        let error = machine.finder(&[]).find(argument).unwrap_err();
        assert!(matches!(error, SubjectError::Grammar(_)), "{argument}");
    }
}

#[test]
fn the_built_in_subject_is_a_directory_of_links() {
    let machine = Machine::new();
    let subject = machine.finder(&[]).find("mine=builtin").unwrap();
    for name in TOOL_NAMES {
        let target = std::fs::read_link(subject.tool(name)).unwrap();
        assert_eq!(target, machine.root.path().join("cowproof"));
    }
}
