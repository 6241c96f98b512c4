//! Healthy images, made once by the real tools; every fault is a patch of one of them.

use std::path::Path;
use std::process::Command;

use crate::support::Tools;

/// One healthy image.
pub struct Fixture {
    pub name: &'static str,
    pub driver: &'static str,
    /// What the option tree needs for the key, with its comma.
    pub key: &'static str,
    pub bytes: Vec<u8>,
}

/// All of them.
pub struct Fixtures(Vec<Fixture>);

const SECRET: [&str; 2] = ["--object", "secret,id=s,data=pw"];

fn run(command: &mut Command) {
    let output = command.output().expect("the tool starts");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A recipe: name, driver, create options, size, `qemu-io` commands, snapshots, key for opening.
type Recipe = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
    usize,
    &'static str,
);

const RECIPES: [Recipe; 9] = [
    ("qcow2", "qcow2", "compat=1.1", "64M", &[], 0, ""),
    (
        "qcow2-v2",
        "qcow2",
        "compat=0.10",
        "64M",
        &["write 0 64k"],
        0,
        "",
    ),
    (
        "qcow2-data",
        "qcow2",
        "compat=1.1",
        "64M",
        &["write -P 1 0 192k"],
        0,
        "",
    ),
    (
        "qcow2-compressed",
        "qcow2",
        "compat=1.1",
        "1M",
        &["write -c -P 1 0 64k", "write -c -P 2 64k 64k"],
        0,
        "",
    ),
    (
        "qcow2-zstd",
        "qcow2",
        "compression_type=zstd",
        "1M",
        &["write -c -P 1 0 64k"],
        0,
        "",
    ),
    (
        "qcow2-snapshots",
        "qcow2",
        "compat=1.1",
        "1M",
        &["write -P 1 0 64k"],
        2,
        "",
    ),
    (
        "qcow2-luks",
        "qcow2",
        "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=0",
        "1M",
        &[],
        0,
        ",encrypt.key-secret=s",
    ),
    ("qcow1", "qcow", "", "64M", &["write -P 1 0 64k"], 0, ""),
    (
        "luks",
        "luks",
        "key-secret=s,iter-time=0",
        "1M",
        &[],
        0,
        ",key-secret=s",
    ),
];

impl Fixtures {
    pub fn made_by(tools: &Tools) -> Self {
        let room = tempfile::tempdir().expect("a temporary directory");
        Self(
            RECIPES
                .iter()
                .map(|recipe| make(recipe, tools, room.path()))
                .collect(),
        )
    }

    pub fn fixture(&self, name: &str) -> &Fixture {
        self.0
            .iter()
            .find(|fixture| fixture.name == name)
            .unwrap_or_else(|| panic!("no fixture {name}"))
    }
}

fn make(recipe: &Recipe, tools: &Tools, room: &Path) -> Fixture {
    let (name, driver, options, size, writes, snapshots, key) = *recipe;
    let path = room.join(name);
    let mut create = Command::new(&tools.img);
    create.args(["create", "-q", "-f", driver]).args(SECRET);
    if !options.is_empty() {
        create.args(["-o", options]);
    }
    run(create.arg(&path).arg(size));
    if !writes.is_empty() {
        let mut io = Command::new(&tools.io);
        io.args(["-f", driver]);
        for line in writes {
            io.args(["-c", line]);
        }
        run(io.arg(&path));
    }
    for index in 0..snapshots {
        run(Command::new(&tools.img)
            .args(["snapshot", "-c", &format!("s{index}")])
            .arg(&path));
    }
    Fixture {
        name,
        driver,
        key,
        bytes: std::fs::read(&path).expect("the fixture"),
    }
}
