//! What no two runs have in common is replaced by a word before outputs are compared.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

/// The filters of one test run.
#[derive(Debug)]
pub struct Filter {
    /// What differs with the place of the run, and the word for it.
    paths: Vec<(String, String)>,
}

/// Pattern and replacement, in the order in which they are applied.
const RULES: [(&str, &str); 15] = [
    // Random for each image.
    (
        r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
        "UUID",
    ),
    (
        r#"(?m)^(\s*"?(?:mk[ -])?salt"?:\s*)"?[0-9a-f]{2,}"?"#,
        "${1}SALT",
    ),
    // What the host file system spends: `info`'s text and JSON.
    (r"(?m)^(\s*disk size: )\S+(?: \S+)?$", "${1}SIZE"),
    (r#"("actual-size": )\d+"#, "${1}SIZE"),
    // XFS only.
    (
        r"(?m)^Format specific information:\n\s+extent size hint: \d+\n",
        "",
    ),
    (r#""extent-size-hint": \d+,?\n\s*"#, ""),
    // Benchmarked on the spot when a LUKS volume is made.
    (r"(?m)^(\s*(?:master key )?iters: )\d+$", "${1}N"),
    (r#"("(?:master-key-)?iters": )\d+"#, "${1}N"),
    // qemu-io's figures.
    (
        r"(ops; )\S+(?: sec)? \((?:inf|[\d.e+]+) \S+/sec and (?:inf|[\d.e+]+) ops/sec\)",
        "${1}TIME (RATE)",
    ),
    // The same in one line (`-C`).
    (
        r"(?m)^(\d+,\d+),\d+:\d\d:\d\d\.\d+,(?:inf|[\d.e+]+),(?:inf|[\d.e+]+)$",
        "${1},TIME,RATE",
    ),
    // Names that nodes get at random.
    (r"#block\d{3,}", "#blockN"),
    // The clock in snapshot tables.
    (
        r"\b20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\b",
        "DATE               ",
    ),
    (r#"("date-n?sec": )\d+"#, "${1}DATE"),
    // How often progress is shown depends on the time it takes; that it ends at 100 does not.
    (r"(?: *\(\d+\.\d\d/100%\)\r)+", "    (PROGRESS/100%)\r"),
    (
        r"\b(qemu-(?:img|io)) version \d\S*(?: \([^)\n]*\))?",
        "$1 version VERSION",
    ),
];

static COMPILED: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    RULES
        .into_iter()
        .map(|(pattern, replacement)| {
            let rule = Regex::new(pattern).expect("a constant, compiled by every test");
            (rule, replacement)
        })
        .collect()
});

impl Filter {
    /// The filters for a test that runs in `directory` with the tools in `tools`.
    ///
    /// # Panics
    ///
    /// Never: the patterns are constants and escaped paths.
    pub fn new(directory: &Path, tools: &Path) -> Self {
        // Usage hints name the tool as it was called.
        let tool = |name: &str| {
            (
                tools.join(name).to_string_lossy().into_owned(),
                name.to_owned(),
            )
        };
        let directory = directory.to_string_lossy().into_owned();
        Self {
            paths: vec![
                (directory, "TEST_DIR".to_owned()),
                tool("qemu-img"),
                tool("qemu-io"),
            ],
        }
    }

    /// The output as it stands in a golden.
    pub fn apply(&self, output: &str) -> String {
        let mut text = output.to_owned();
        for (path, word) in &self.paths {
            text = text.replace(path, word);
        }
        COMPILED.iter().fold(text, |text, (pattern, replacement)| {
            pattern.replace_all(&text, *replacement).into_owned()
        })
    }
}

#[cfg(test)]
mod tests;
