//! What the real tools say that they know.

use super::stage::Stage;

/// A help text: whose it is, and the names that it lists, those of one thing together.
pub struct Section {
    pub title: String,
    pub rows: Vec<Vec<String>>,
}

/// Formats whose creation options are ours to know.
const CREATED: [&str; 4] = ["qcow", "qcow2", "luks", "raw"];
const AMENDED: [&str; 2] = ["qcow2", "luks"];

/// All help texts of both tools.
pub fn sections(stage: &Stage) -> Vec<Section> {
    let general = stage.real_says("img --help");
    let mut sections = vec![Section {
        title: "img".to_owned(),
        rows: options(&general),
    }];
    let subcommands = general
        .lines()
        .skip_while(|line| !line.starts_with("Recognized commands"))
        .filter_map(|line| line.strip_prefix("  ")?.split_once(" - "))
        .map(|(name, _)| name.trim().to_owned());
    for name in subcommands {
        let text = stage.real_says(&format!("img {name} --help"));
        let mut rows = options(&text);
        rows.insert(0, vec![name.clone()]);
        rows.extend(settings(&text));
        sections.push(Section {
            title: format!("img {name}"),
            rows,
        });
    }
    for format in CREATED {
        let text = stage.real_says(&format!("img create -f {format} -o help new.img"));
        sections.push(Section {
            title: format!("create -o, {format}"),
            rows: named_values(&text),
        });
    }
    for format in AMENDED {
        let text = stage.real_says(&format!("img amend -f {format} -o help"));
        sections.push(Section {
            title: format!("amend -o, {format}"),
            rows: named_values(&text),
        });
    }
    sections.push(Section {
        title: "io".to_owned(),
        rows: options(&stage.real_says("io --help")),
    });
    sections.extend(commands(stage));
    sections
}

/// `-f, --format FMT` in a line of its own.
fn options(text: &str) -> Vec<Vec<String>> {
    text.lines()
        .filter(|line| line.starts_with(' ') && line.trim_start().starts_with('-'))
        .map(|line| {
            line.split_whitespace()
                .map(|word| word.split(['=', '[']).next().unwrap_or(word))
                .take_while(|word| word.starts_with('-'))
                .flat_map(|word| word.split(','))
                .filter(|word| !word.is_empty() && *word != "--")
                .map(str::to_owned)
                .collect()
        })
        .collect()
}

/// `bs=BLOCK_SIZE` of `dd`.
fn settings(text: &str) -> Vec<Vec<String>> {
    text.lines()
        .filter_map(|line| line.strip_prefix("  ")?.split_once('='))
        .filter(|(name, _)| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase()))
        .map(|(name, _)| vec![format!("{name}=")])
        .collect()
}

/// `cluster_size=<size> - …`.
fn named_values(text: &str) -> Vec<Vec<String>> {
    text.lines()
        .filter_map(|line| line.strip_prefix("  ")?.split_once("=<"))
        .map(|(name, _)| vec![name.to_owned()])
        .collect()
}

/// `qemu-io`'s commands, each with its flags.
fn commands(stage: &Stage) -> Vec<Section> {
    let list = stage.real_says("io -c help");
    list.lines()
        .filter_map(|line| line.split_once(" -- "))
        .filter_map(|(usage, _)| usage.split_whitespace().next())
        .map(|name| {
            let text = stage.real_says(&format!("io -c 'help {name}'"));
            let mut rows = vec![vec![name.to_owned()]];
            rows.extend(options(&text));
            Section {
                title: format!("io {name}"),
                rows,
            }
        })
        .collect()
}
