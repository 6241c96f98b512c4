//! What no two runs have in common is replaced by a word before outputs are compared.

use std::path::Path;

use regex::Regex;

/// The filters of one test run.
#[derive(Debug)]
pub struct Filter {
    rules: Vec<(Regex, &'static str)>,
}

/// Pattern and replacement, in the order in which they are applied.
const RULES: [(&str, &str); 14] = [
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

impl Filter {
    /// The filters for a test that runs in `directory` with the tools in `tools`.
    pub fn new(directory: &Path, tools: &Path) -> Self {
        let directory = regex::escape(&directory.to_string_lossy());
        // Usage hints name the tool as it was called.
        let tools = regex::escape(&tools.to_string_lossy());
        let paths = [
            (directory, "TEST_DIR"),
            (format!("{tools}/(qemu-(?:img|io))\\b"), "$1"),
        ];
        let rules = RULES.map(|(pattern, replacement)| (pattern.to_owned(), replacement));
        Self {
            rules: paths
                .into_iter()
                .chain(rules)
                .map(|(pattern, replacement)| {
                    let rule = Regex::new(&pattern).expect("a constant pattern or an escaped path");
                    (rule, replacement)
                })
                .collect(),
        }
    }

    /// The output as it stands in a golden.
    pub fn apply(&self, output: &str) -> String {
        self.rules
            .iter()
            .fold(output.to_owned(), |text, (pattern, replacement)| {
                pattern.replace_all(&text, *replacement).into_owned()
            })
    }
}

#[cfg(test)]
mod tests;
