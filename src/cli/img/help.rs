//! The help texts. Subcommands say what the real tool says, word for word: scripts look options up in them.

use crate::graph::DRIVERS;

/// The text of `qemu-img COMMAND --help`.
pub fn of(command: &str) -> &'static str {
    match command {
        "amend" => include_str!("help/amend.txt"),
        "bench" => include_str!("help/bench.txt"),
        "bitmap" => include_str!("help/bitmap.txt"),
        "check" => include_str!("help/check.txt"),
        "commit" => include_str!("help/commit.txt"),
        "compare" => include_str!("help/compare.txt"),
        "convert" => include_str!("help/convert.txt"),
        "create" => include_str!("help/create.txt"),
        "dd" => include_str!("help/dd.txt"),
        "info" => include_str!("help/info.txt"),
        "map" => include_str!("help/map.txt"),
        "measure" => include_str!("help/measure.txt"),
        "rebase" => include_str!("help/rebase.txt"),
        "resize" => include_str!("help/resize.txt"),
        "snapshot" => include_str!("help/snapshot.txt"),
        _ => "",
    }
}

/// What `cowproof img COMMAND` has besides.
pub fn own(command: &str) -> &'static str {
    match command {
        "create" => include_str!("help/create-own.txt"),
        _ => "",
    }
}

/// `qemu-img --version`. Scripts read the number behind `version`: the release whose behaviour this is.
pub fn version() -> String {
    format!(
        "qemu-img version 10.0.2 (cowproof {})\nCopyright (c) 2026 The cowproof authors\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// `qemu-img --help`.
pub fn general() -> String {
    format!(
        "{}{}Supported image formats:\n\n{}\n\n\
         This is cowproof's drop-in for qemu-img; it is not part of QEMU.\n",
        version(),
        include_str!("help/general.txt"),
        wrapped(DRIVERS),
    )
}

/// Names in lines of at most 76 columns behind two spaces.
fn wrapped(names: &[&str]) -> String {
    let mut lines = vec![String::new()];
    for name in names {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + name.len() <= 76 => {
                line.push(' ');
                line.push_str(name);
            }
            _ => lines.push(format!(" {name}")),
        }
    }
    let indented: Vec<String> = lines.iter().map(|line| format!(" {line}")).collect();
    indented.join("\n")
}
