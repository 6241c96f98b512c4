//! What is done to a mutated image, on both sides.

use std::fmt::Write as _;

use crate::mutate::Change;
use crate::random::Random;
use crate::seeds::{SECRET, Seed, Seeds};

/// One mutated image and the commands that it meets. In a command, `{image}` is its path and `{tree}` its options.
#[derive(Clone, Debug)]
pub struct Case {
    seed: u64,
    number: u64,
    pub image: usize,
    pub changes: Vec<Change>,
    pub tool: Tool,
    pub lines: Vec<String>,
}

/// Who gets the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// All lines to the standard input of one `qemu-io`.
    Io,
    /// A `qemu-img` for each line.
    Img,
}

/// The end of the longest small disk; others are shorter.
const WINDOW_KIB: usize = 64;

impl Case {
    pub fn random(seed: u64, number: u64, seeds: &Seeds) -> Self {
        let mut random = Random::new(seed, number);
        let image = random.below(seeds.list.len());
        let chosen = &seeds.list[image];
        let count = [1, 1, 1, 2, 2, 3][random.below(6)];
        let changes = (0..count)
            .map(|_| Change::random(chosen, &mut random))
            .collect();
        let (tool, lines) = if random.one_in(3) {
            (Tool::Img, img_lines(chosen, &mut random))
        } else {
            (Tool::Io, io_lines(&mut random))
        };
        Self {
            seed,
            number,
            image,
            changes,
            tool,
            lines,
        }
    }

    pub fn bytes(&self, seeds: &Seeds) -> Vec<u8> {
        let mut bytes = seeds.list[self.image].bytes.clone();
        for change in &self.changes {
            change.apply(&mut bytes);
        }
        bytes
    }

    /// A line with the names filled in.
    pub fn filled(&self, line: &str, path: &str, seeds: &Seeds) -> String {
        let seed = &seeds.list[self.image];
        line.replace("{driver}", seed.driver)
            .replace(
                "{tree}",
                &format!("driver={},file.filename={path}{}", seed.driver, seed.key),
            )
            .replace("{options}", &format!("driver={}{}", seed.driver, seed.key))
            .replace("{image}", path)
    }

    pub fn driver(&self, seeds: &Seeds) -> &'static str {
        seeds.list[self.image].driver
    }

    /// A field whose name ends so is changed.
    pub fn changes_a(&self, field: &str) -> bool {
        self.changes
            .iter()
            .any(|change| change.field().ends_with(field))
    }

    /// The time of day is written into the image.
    pub fn has_clock(&self) -> bool {
        self.lines.iter().any(|line| line.contains("snapshot -c"))
    }

    /// The image's compressed bytes are another library's.
    pub fn compresses(&self) -> bool {
        self.lines.iter().any(|line| line.starts_with("write -c"))
    }

    pub fn describe(&self, seeds: &Seeds) -> String {
        let seed = &seeds.list[self.image];
        let mut text = format!(
            "replay: tools/differential --seed {} --case {}\n  image {} ({})\n",
            self.seed, self.number, seed.name, seed.driver
        );
        for change in &self.changes {
            let _ = writeln!(text, "  {change}");
        }
        let program = match self.tool {
            Tool::Io => "qemu-io>",
            Tool::Img => "qemu-img",
        };
        for line in &self.lines {
            let _ = writeln!(text, "  {program} {}", self.filled(line, "image", seeds));
        }
        text
    }
}

fn reads(random: &mut Random, lines: &mut Vec<String>) {
    lines.push("open -r -o {options} {image}".to_owned());
    if random.one_in(2) {
        lines.push("length".to_owned());
        lines.push("map".to_owned());
    }
    if random.one_in(4) {
        lines.push(format!("read -v 0 {WINDOW_KIB}k"));
    } else {
        for piece in 0..16 {
            lines.push(format!("read -v {}k 512", piece * WINDOW_KIB / 16));
        }
        lines.push(format!("read 0 {WINDOW_KIB}k"));
    }
    lines.push(format!("read -v {}k 512", random.below(1024)));
    lines.push("close".to_owned());
}

fn io_lines(random: &mut Random) -> Vec<String> {
    let mut lines = Vec::new();
    reads(random, &mut lines);
    if random.one_in(4) {
        return lines;
    }
    lines.push("open -o {options} {image}".to_owned());
    for index in 0..=random.below(5) {
        let offset = random.below(WINDOW_KIB * 2) * 512;
        let length = [512, 1024, 4096, 10_240][random.below(4)];
        let page = offset / 4096 * 4096;
        lines.push(match random.below(9) {
            0 | 1 => format!("write -z {offset} {length}"),
            2 => format!("write -z -u {page} 8192"),
            3 => format!("discard {page} 8192"),
            4 => format!("write -c -P {} {page} 4096", 0x40 + index),
            _ => format!("write -P {} {offset} {length}", 0x30 + index),
        });
        if random.one_in(4) {
            lines.push("flush".to_owned());
        }
    }
    lines.push("close".to_owned());
    reads(random, &mut lines);
    lines
}

fn img_lines(seed: &Seed, random: &mut Random) -> Vec<String> {
    let tree = format!("{} {} --image-opts {{tree}}", SECRET[0], SECRET[1]);
    let plain = "-f {driver} {image}";
    let looks = [
        format!("info --output=json {plain}"),
        format!("info {plain}"),
        format!("check {tree}"),
        format!("check --output=json {tree}"),
        format!("map --output=json {tree}"),
        "snapshot -l {image}".to_owned(),
        format!("convert {tree} -O raw {{image}}.raw"),
        format!("measure --output=json -O qcow2 {tree}"),
        "info --output=json {image}".to_owned(),
    ];
    let mut changes = vec![
        format!("check -r leaks {tree}"),
        format!("check -r all {tree}"),
        format!("resize {tree} +8k"),
        format!("resize --shrink {tree} 20k"),
    ];
    if seed.driver == "qcow2" {
        changes.extend(
            [
                "snapshot -a one {image}",
                "snapshot -d one {image}",
                "snapshot -d 2 {image}",
                "snapshot -c new {image}",
                "bitmap --add -f qcow2 {image} new",
                "bitmap --remove -f qcow2 {image} b0",
                "bitmap --clear -f qcow2 {image} b1",
                "bitmap --merge b0 -f qcow2 {image} b1",
                "amend -f qcow2 -o compat=0.10 {image}",
                "amend -f qcow2 -o lazy_refcounts=off {image}",
                "rebase -u -f qcow2 -b base -F raw {image}",
                "commit -f qcow2 {image}",
            ]
            .map(str::to_owned),
        );
    }
    let mut lines = Vec::new();
    for _ in 0..2 + random.below(4) {
        lines.push(random.pick(&looks).clone());
    }
    if random.one_in(2) {
        lines.push(random.pick(&changes).clone());
        lines.push(looks[2].clone());
        lines.push(looks[4].clone());
    }
    lines
}
