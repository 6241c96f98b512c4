//! The same histories on the real tools: one `qemu-io` that lives as long as the test, fed through a pipe, and a
//! `qemu-img` for what it can't do. Then bytes, map and check of both images.

use std::io::{BufRead, BufReader, PipeReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;

use cowproof::driver::memory::Memory;
use proptest_state_machine::ReferenceStateMachine;

use crate::configuration::{Base, Configuration, Format};
use crate::flat::Flat;
use crate::history::{self, Call};
use crate::machine::{Files, Machine};
use crate::operation::{self, Operation};

/// The real `qemu-io`, waiting for commands.
struct LiveIo {
    child: Child,
    input: ChildStdin,
    output: BufReader<PipeReader>,
}

impl LiveIo {
    fn start(directory: &Path) -> Option<Self> {
        let (reader, writer) = std::io::pipe().ok()?;
        let mut child = Command::new("qemu-io")
            .args(history::secret_arguments())
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(writer.try_clone().ok()?)
            .stderr(writer)
            .spawn()
            .ok()?;
        let input = child.stdin.take()?;
        let mut live = Self {
            child,
            input,
            output: BufReader::new(reader),
        };
        live.answer();
        Some(live)
    }

    /// What it says until it asks for the next command.
    fn answer(&mut self) -> String {
        const PROMPT: &[u8] = b"qemu-io> ";
        let mut said = Vec::new();
        while !said.ends_with(PROMPT) {
            let before = said.len();
            self.output.read_until(b' ', &mut said).unwrap();
            assert!(said.len() > before, "qemu-io ended");
        }
        said.truncate(said.len() - PROMPT.len());
        String::from_utf8_lossy(&said).into_owned()
    }

    /// Runs commands one by one: it looks for the next one only when it has asked for it.
    fn run(&mut self, commands: &[String]) -> String {
        let mut said = String::new();
        for command in commands {
            writeln!(self.input, "{command}").unwrap();
            said += &self.answer();
        }
        said
    }
}

impl Drop for LiveIo {
    fn drop(&mut self) {
        let _ = writeln!(self.input, "quit");
        let _ = self.child.wait();
    }
}

/// The real tools with a directory for each side.
pub struct Replay {
    io: LiveIo,
    room: tempfile::TempDir,
}

/// Whose files.
#[derive(Clone, Copy)]
enum Side {
    Real,
    Ours,
}

impl Replay {
    /// `None`, loudly, where there are no real tools.
    pub fn start() -> Option<Self> {
        let room = tempfile::tempdir().unwrap();
        for side in ["real", "ours"] {
            std::fs::create_dir(room.path().join(side)).unwrap();
        }
        let has_img = Command::new("qemu-img").arg("--version").output().is_ok();
        let io = LiveIo::start(&room.path().join("real"));
        let Some(io) = io.filter(|_| has_img) else {
            eprintln!("skipped(no qemu-img): histories are not replayed on the real tools");
            return None;
        };
        Some(Self { io, room })
    }

    fn directory(&self, side: Side) -> PathBuf {
        self.room.path().join(match side {
            Side::Real => "real",
            Side::Ours => "ours",
        })
    }

    fn img(&self, side: Side, arguments: &[String]) -> Result<String, String> {
        let output = Command::new("qemu-img")
            .args(arguments)
            .current_dir(self.directory(side))
            .output()
            .map_err(|e| e.to_string())?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let told = String::from_utf8_lossy(&output.stdout);
        Err(format!("qemu-img {}: {told}{said}", arguments.join(" ")))
    }

    /// One call of the script; `qemu-io` is the one on the pipe.
    fn call(&mut self, call: &Call) -> Result<(), String> {
        if call.tool == "qemu-img" {
            return self.img(Side::Real, &call.arguments).map(drop);
        }
        let open = call.arguments.last().cloned().unwrap_or_default();
        let mut commands = vec![format!("open -d unmap -o {open}")];
        for pair in call.arguments.windows(2) {
            if pair[0] == "-c" {
                commands.push(pair[1].clone());
            }
        }
        commands.push("close".to_owned());
        let said = self.io.run(&commands);
        let refused = said.lines().find(|line| {
            !line.starts_with("wrote ") && !line.starts_with("discard ") && !line.contains(" ops; ")
        });
        match refused {
            Some(line) if !line.is_empty() => Err(format!("qemu-io {open}: {line}")),
            _ => Ok(()),
        }
    }

    /// Plays a history on the real tools and on ours, and compares what is left.
    pub fn judge(&mut self, start: &Flat, operations: &[Operation]) -> Result<(), String> {
        for side in [Side::Real, Side::Ours] {
            for entry in std::fs::read_dir(self.directory(side)).unwrap() {
                std::fs::remove_file(entry.unwrap().path()).unwrap();
            }
        }
        let configuration = &start.configuration;
        let pattern = self.directory(Side::Real).join("pattern");
        std::fs::write(pattern, operation::pattern_file()).unwrap();
        let (model, files) = play_sessions(start, operations)?;
        let calls = history::creating(configuration)
            .into_iter()
            .chain(history::playing(configuration, operations));
        for call in calls.filter(|_| !model.real_tool_fails) {
            self.call(&call)?;
        }
        let ours = self.directory(Side::Ours);
        for (name, file) in names(&files) {
            std::fs::write(ours.join(name), file.snapshot()).unwrap();
        }
        self.compare(&model)
    }

    fn compare(&self, model: &Flat) -> Result<(), String> {
        let configuration = &model.configuration;
        self.real_tool_reads(Side::Ours, model)
            .map_err(|why| format!("ours, read by them: {why}"))?;
        if model.real_tool_fails {
            return Ok(());
        }
        self.real_tool_reads(Side::Real, model)
            .map_err(|why| format!("theirs, read by them: {why}"))?;
        self.we_read_theirs(model)
            .map_err(|why| format!("theirs, read by us: {why}"))?;
        let theirs = self.own_map(Side::Real, configuration)?;
        let ours = self.own_map(Side::Ours, configuration)?;
        let places = |map: &str| {
            let without = |line: &str| line.split(", \"offset\"").next().map(str::to_owned);
            map.lines().filter_map(without).collect::<Vec<_>>()
        };
        // What leaks there is used again here.
        let same = theirs == ours || (model.dropped_vm_state && places(&theirs) == places(&ours));
        if !same {
            return Err(format!("the maps differ\n  us:   {ours}\n  them: {theirs}"));
        }
        Ok(())
    }

    fn image_command(configuration: &Configuration, words: &[&str]) -> Vec<String> {
        let mut arguments = vec![words[0].to_owned()];
        arguments.extend(history::secret_arguments());
        arguments.extend(words[1..].iter().map(|&word| word.to_owned()));
        arguments.extend(["--image-opts".to_owned(), configuration.open_options()]);
        arguments
    }

    /// The real tool reads the disk and every snapshot as the model has them, and its check finds nothing.
    fn real_tool_reads(&self, side: Side, model: &Flat) -> Result<(), String> {
        let configuration = &model.configuration;
        let mut layers = vec![(None, &model.active.disk)];
        let length = model.active.disk.len();
        for (number, layer) in &model.snapshots {
            layers.push((Some(format!("snapshot.name=s{number}")), &layer.disk));
        }
        for (snapshot, disk) in layers {
            let mut words = vec!["convert", "-O", "raw"];
            if let Some(snapshot) = &snapshot {
                words.extend(["-l", snapshot]);
            }
            let mut arguments = Self::image_command(configuration, &words);
            arguments.push("out.raw".to_owned());
            self.img(side, &arguments)?;
            let read = std::fs::read(self.directory(side).join("out.raw")).unwrap();
            // A snapshot shows as much as the disk has.
            let common = read.len().min(disk.len());
            if read.len() != length || read[..common] != disk[..common] {
                let at = read.iter().zip(disk).position(|(a, b)| a != b);
                return Err(format!("{snapshot:?} differs at {at:?}"));
            }
        }
        if configuration.format != Format::Qcow1 && !leaks_there(side, model) {
            self.img(side, &Self::image_command(configuration, &["check"]))?;
        }
        Ok(())
    }

    fn we_read_theirs(&self, model: &Flat) -> Result<(), String> {
        let directory = self.directory(Side::Real);
        let file = |name: &str| {
            let bytes = std::fs::read(directory.join(name)).unwrap_or_default();
            Arc::new(Memory::new(bytes, 1 << 30))
        };
        let files = Files {
            image: file("t.img"),
            data: file("data"),
            bases: Base::ALL.map(|base| file(base.file())),
        };
        let machine =
            Machine::open(&model.configuration, files, model.lies_on).map_err(|e| e.to_string())?;
        machine.reads_as(&model.active)?;
        if !leaks_there(Side::Real, model) {
            machine.is_clean()?;
        }
        machine.layers_read_as(model)
    }

    /// The map of the top layer: what lies below depends on holes in raw files.
    fn own_map(&self, side: Side, configuration: &Configuration) -> Result<String, String> {
        let arguments = Self::image_command(configuration, &["map", "--output=json"]);
        let map = self.img(side, &arguments)?;
        let own = |line: &&str| line.contains("\"depth\": 0") && line.contains("\"present\": true");
        let place = |line: &str| {
            line.trim_matches(|c| "[]{},".contains(c))
                .replace("\"depth\": 0, \"present\": true, ", "")
        };
        Ok(map
            .lines()
            .filter(own)
            .map(place)
            .collect::<Vec<_>>()
            .join("\n"))
    }
}

/// The real tool leaks VM state when a disk shrinks (`docs/differences.md`).
const fn leaks_there(side: Side, model: &Flat) -> bool {
    matches!(side, Side::Real) && model.dropped_vm_state
}

fn names(files: &Files) -> [(&'static str, &Memory); 4] {
    [
        ("t.img", &*files.image),
        ("data", &*files.data),
        (Base::A.file(), &*files.bases[0]),
        (Base::B.file(), &*files.bases[1]),
    ]
}

/// Plays a history on ours the way the script does: `qemu-img`'s steps have a session of their own.
fn play_sessions(start: &Flat, operations: &[Operation]) -> Result<(Flat, Files), String> {
    let mut model = start.clone();
    let mut machine = Machine::new(&model.configuration).map_err(|e| format!("create: {e}"))?;
    let mut was_io = true;
    for operation in operations {
        let at = |e: cowproof::base::Error| format!("{operation}: {e}");
        if !(was_io && operation.is_io()) {
            machine.step(Operation::Reopen).map_err(at)?;
        }
        was_io = operation.is_io();
        machine.step(*operation).map_err(at)?;
        model = Flat::apply(model, operation);
    }
    machine.close().map_err(|e| e.to_string())?;
    Ok((model, machine.files))
}
