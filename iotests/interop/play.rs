//! Plays histories through a pair of tools and looks at the images that come out.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::history;
use crate::matrix::{Backing, Case, Format};
use crate::support::Tools;

/// An image of a case and the files under it.
pub struct Image {
    path: PathBuf,
    base: Option<PathBuf>,
}

/// What a reader saw: the active disk, then each snapshot.
pub struct Contents(Vec<Vec<u8>>);

impl Contents {
    /// The first difference, in words.
    pub fn difference(&self, other: &Self) -> Option<String> {
        for (layer, (a, b)) in self.0.iter().zip(&other.0).enumerate() {
            if a.len() != b.len() {
                return Some(format!(
                    "layer {layer}: {} bytes and {} bytes",
                    a.len(),
                    b.len()
                ));
            }
            if let Some(at) = a.iter().zip(b).position(|(a, b)| a != b) {
                return Some(format!(
                    "layer {layer}: {:#x} and {:#x} at offset {at}",
                    a[at], b[at]
                ));
            }
        }
        None
    }
}

/// A directory in which a case is played.
pub struct Room(tempfile::TempDir);

/// The arguments that hand over the keys.
pub const SECRETS: [&str; 4] = [
    "--object",
    "secret,id=top,data=open sesame",
    "--object",
    "secret,id=base,data=another one",
];

fn run(command: &mut Command) -> Result<Output, String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    if output.status.success() {
        return Ok(output);
    }
    Err(format!(
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    ))
}

fn json(output: &Output) -> Result<serde_json::Value, String> {
    serde_json::from_slice(&output.stdout)
        .map_err(|e| format!("not JSON: {e}: {}", String::from_utf8_lossy(&output.stdout)))
}

impl Room {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn img(tools: &Tools, arguments: &[&str]) -> Result<Output, String> {
        run(Command::new(&tools.img)
            .arg(arguments[0])
            .args(SECRETS)
            .args(&arguments[1..]))
    }

    /// The file under the image, with data in it; always made by the first player.
    fn make_base(
        &self,
        name: &str,
        case: &Case,
        tools: &Tools,
    ) -> Result<Option<(PathBuf, &'static str)>, String> {
        let (format, size) = match case.backing {
            Backing::None => return Ok(None),
            Backing::Raw => ("raw", case.size()),
            Backing::Qcow2 | Backing::Encrypted => ("qcow2", case.size()),
            Backing::Qcow1 => ("qcow", case.size()),
            Backing::Shorter => ("qcow2", case.size() / 2),
            Backing::Longer => ("qcow2", case.size() + (1 << 20)),
        };
        let path = self.0.path().join(format!("{name}.base"));
        let path_text = path.to_str().expect("an ASCII path");
        let size_text = size.to_string();
        let mut arguments = vec!["create", "-q", "-f", format];
        if case.backing == Backing::Encrypted {
            arguments.extend(["-o", "encrypt.format=aes,encrypt.key-secret=base"]);
        }
        arguments.extend([path_text, &size_text]);
        Self::img(tools, &arguments)?;
        let mut command = Command::new(&tools.io);
        command.args(SECRETS);
        for (index, offset) in (0..size & !511).step_by(150_000).enumerate() {
            let length = 70_000.min(size - offset);
            command.args([
                "-c",
                &format!("write -q -P {} {offset} {length}", 200 + index % 50),
            ]);
        }
        let key = if case.backing == Backing::Encrypted {
            ",encrypt.key-secret=base"
        } else {
            ""
        };
        run(command.args([
            "--image-opts",
            &format!("driver={format},file.filename={path_text}{key}"),
        ]))?;
        Ok(Some((path, format)))
    }

    /// A new image and what lies under it.
    pub fn create(&self, name: &str, case: &Case, tools: &Tools) -> Result<Image, String> {
        let path = self.0.path().join(name);
        let base = self.make_base(name, case, tools)?;
        let path_text = path.to_str().expect("an ASCII path");
        let options = create_options(case, path_text);
        let size = case.size().to_string();
        let mut arguments = vec!["create", "-q", "-f", driver(case)];
        if !options.is_empty() {
            arguments.extend(["-o", &options]);
        }
        if let Some((base, format)) = &base {
            arguments.extend([
                "-u",
                "-F",
                format,
                "-b",
                base.to_str().expect("an ASCII path"),
            ]);
        }
        arguments.extend([path_text, &size]);
        Self::img(tools, &arguments)?;
        Ok(Image {
            path,
            base: base.map(|(path, _)| path),
        })
    }

    /// The snapshot with that number.
    pub fn take_snapshot(number: usize, opened: &str, tools: &Tools) -> Result<(), String> {
        let name = format!("s{number}");
        Self::img(tools, &["snapshot", "-c", &name, "--image-opts", opened]).map(drop)
    }

    /// Plays the case's history, the sessions dealt out to `players` in turn.
    pub fn play(
        &self,
        name: &str,
        case: &Case,
        seed: u64,
        players: &[&Tools],
    ) -> Result<Image, String> {
        let image = self.create(name, case, players[0])?;
        let opened = open_options(&image, case);
        for (index, session) in history::sessions(case, seed).iter().enumerate() {
            let player = players[index % players.len()];
            if (1..=case.snapshots).contains(&index) {
                Self::take_snapshot(index, &opened, player)?;
            }
            let mut command = Command::new(&player.io);
            command.args(SECRETS).args(["-d", "unmap"]);
            for line in session {
                command.args(["-c", line]);
            }
            run(command.args(["--image-opts", &opened]))?;
        }
        Ok(image)
    }

    /// Every byte of the disk and of each snapshot, as `tools` read them.
    pub fn contents(&self, image: &Image, case: &Case, tools: &Tools) -> Result<Contents, String> {
        let opened = open_options(image, case);
        let out = self.0.path().join("out.raw");
        let out_text = out.to_str().expect("an ASCII path");
        let mut layers = Vec::new();
        for layer in 0..=case.snapshots {
            let snapshot = format!("snapshot.name=s{layer}");
            let mut arguments = vec!["convert", "--image-opts", "-O", "raw"];
            if layer > 0 {
                arguments.extend(["-l", &snapshot]);
            }
            arguments.extend([opened.as_str(), out_text]);
            Self::img(tools, &arguments)?;
            layers.push(std::fs::read(&out).map_err(|e| e.to_string())?);
        }
        Ok(Contents(layers))
    }

    /// What `info`, `map` and `check` tell, without what legitimately differs between runs (dates, sizes on disk).
    pub fn facts(image: &Image, case: &Case, tools: &Tools) -> Result<String, String> {
        let opened = open_options(image, case);
        // `info` opens no backing file and refuses options for one.
        let path = image.path.clone();
        let alone = open_options(&Image { path, base: None }, case);
        let mut info = json(&Self::img(
            tools,
            &["info", "--output=json", "--image-opts", &alone],
        )?)?;
        forget_volatile(&mut info);
        let map = json(&Self::img(
            tools,
            &["map", "--output=json", "--image-opts", &opened],
        )?)?;
        let check = match case.format {
            Format::Qcow1 => serde_json::Value::Null,
            _ => json(&Self::img(
                tools,
                &["check", "--output=json", "--image-opts", &opened],
            )?)?,
        };
        Ok(format!("{info}\n{map}\n{check}"))
    }

    /// The image passes `check`.
    pub fn check_is_clean(image: &Image, case: &Case, tools: &Tools) -> Result<(), String> {
        if case.format != Format::Qcow1 {
            Self::img(
                tools,
                &["check", "-q", "--image-opts", &open_options(image, case)],
            )?;
        }
        Ok(())
    }
}

/// Removes the members that two runs of the same tool may tell differently.
fn forget_volatile(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(map) => {
            map.remove("actual-size");
            for member in map.values_mut() {
                forget_volatile(member);
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(forget_volatile),
        _ => {}
    }
}

fn driver(case: &Case) -> &'static str {
    if case.format == Format::Qcow1 {
        "qcow"
    } else {
        "qcow2"
    }
}

fn create_options(case: &Case, path: &str) -> String {
    let mut options = Vec::new();
    match case.format {
        Format::Qcow1 => {}
        Format::Qcow2V2 => options.push("compat=0.10".to_owned()),
        Format::Qcow2V3 | Format::Qcow2Extended => {
            options.push("compat=1.1".to_owned());
            if case.format == Format::Qcow2Extended {
                options.push("extended_l2=on".to_owned());
            }
            options.push(format!("refcount_bits={}", case.refcount_bits));
            if case.compression == "zstd" {
                options.push("compression_type=zstd".to_owned());
            }
        }
    }
    if case.format != Format::Qcow1 {
        options.push(format!("cluster_size={}", case.cluster_size));
    }
    if case.data_file {
        options.push(format!("data_file={path}.data"));
    }
    options.extend(
        case.encryption
            .iter()
            .map(|(name, value)| format!("encrypt.{name}={value}")),
    );
    if case.is_encrypted() {
        options.push("encrypt.key-secret=top".to_owned());
        if case.encryption[0].1 == "luks" {
            options.push("encrypt.iter-time=0".to_owned());
        }
    }
    options.join(",")
}

/// `--image-opts` of an image.
pub fn open_options(image: &Image, case: &Case) -> String {
    let path = |path: &Path| path.to_str().expect("an ASCII path").to_owned();
    let mut options = format!(
        "driver={},file.filename={}",
        driver(case),
        path(&image.path)
    );
    if case.is_encrypted() {
        options += ",encrypt.key-secret=top";
    }
    if let (Some(base), Backing::Encrypted) = (&image.base, case.backing) {
        options += ",backing.driver=qcow2,backing.file.filename=";
        options += &path(base);
        options += ",backing.encrypt.key-secret=base";
    }
    options
}
