//! A directory with tools and the auditor.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::Tools;

/// The secrets that every command line here has.
const SECRETS: [&str; 4] = [
    "--object",
    "secret,id=s,data=pw",
    "--object",
    "secret,id=t,data=another",
];

pub struct Room {
    pub directory: tempfile::TempDir,
    pub tools: Tools,
    pub name: &'static str,
}

/// Ours, and the real tools where there are any.
pub fn rooms() -> Vec<Room> {
    let room = |tools, name| Room {
        directory: tempfile::tempdir().unwrap(),
        tools,
        name,
    };
    let mut rooms = vec![room(Tools::ours(), "ours")];
    match Tools::real() {
        Some(tools) => rooms.push(room(tools, "real")),
        None => eprintln!("the real tools' images: skipped(no qemu-img)"),
    }
    rooms
}

/// The room of the real tools, for what only they do.
pub fn real_room() -> Option<Room> {
    let room = rooms().into_iter().find(|room| room.name == "real");
    if room.is_none() {
        eprintln!("skipped(no qemu-img)");
    }
    room
}

impl Room {
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// `img COMMAND --object … ARGUMENTS`.
    pub fn img(&self, command: &str, arguments: &[&str]) {
        let output = Command::new(&self.tools.img)
            .current_dir(self.directory.path())
            .arg(command)
            .args(SECRETS)
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{} img {command} {arguments:?}: {said}",
            self.name
        );
    }

    /// `create`: an encrypted image.
    pub fn create(&self, format: &str, options: &str, name: &str, size: &str) {
        self.img("create", &["-q", "-f", format, "-o", options, name, size]);
    }

    /// `io` on an image described by options.
    pub fn io(&self, flags: &[&str], image: &str, commands: &[&str]) {
        let mut command = Command::new(&self.tools.io);
        command
            .current_dir(self.directory.path())
            .args(SECRETS)
            .args(flags);
        for one in commands {
            command.args(["-c", one]);
        }
        let output = command.args(["--image-opts", image]).output().unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        let bad = !output.status.success() || said.contains("failed") || said.contains("rror");
        assert!(!bad, "{} io {image} {commands:?}: {said}", self.name);
    }

    /// The auditor, raw.
    pub fn audit_raw(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_cowproof"))
            .current_dir(self.directory.path())
            .arg("audit")
            .args(arguments)
            .output()
            .unwrap()
    }

    /// Exit code and the JSON lines.
    pub fn audit(&self, arguments: &[&str]) -> (i32, Vec<Value>) {
        let output = self.audit_raw(&[&["--output=json"], arguments].concat());
        let said = String::from_utf8(output.stdout).unwrap();
        let lines = said.lines().map(|line| serde_json::from_str(line).unwrap());
        (output.status.code().unwrap(), lines.collect())
    }

    /// One image's report.
    pub fn report(&self, arguments: &[&str]) -> Value {
        let (_, mut reports) = self.audit(arguments);
        assert_eq!(reports.len(), 1, "{arguments:?}");
        reports.remove(0)
    }
}

/// The names of an image's findings, sorted.
pub fn ids(report: &Value) -> Vec<&str> {
    let findings = report["findings"]
        .as_array()
        .unwrap_or_else(|| panic!("{report}"));
    let mut ids: Vec<&str> = findings
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    ids
}

pub fn finding<'a>(report: &'a Value, id: &str) -> &'a Value {
    let findings = report["findings"].as_array().unwrap();
    findings
        .iter()
        .find(|one| one["id"] == id)
        .unwrap_or_else(|| panic!("no {id} in {:?}", ids(report)))
}

pub fn number(report: &Value, id: &str, name: &str) -> u64 {
    let value = &finding(report, id)["evidence"]["numbers"][name];
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{id} has no {name}: {value}"))
}
