//! The house rules as a test; see `docs/architecture.md`.

#![expect(clippy::unwrap_used, reason = "a test: what is missing must end it")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use cowproof::conform::golden::digest;
use cowproof::conform::suite::Suite;

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;
/// A test's table of cases is part of its function.
const TEST_FUNCTION_LINES_MAX: usize = 100;

/// Floors from the ground up; a module imports only floors below its own. On the second floor the
/// formats stand on the ciphers: a LUKS header names them.
const FLOORS: [(&str, u32); 13] = [
    ("base", 10),
    ("crypto", 20),
    ("codec", 20),
    ("format", 21),
    ("node", 30),
    ("driver", 40),
    ("graph", 50),
    ("job", 60),
    ("audit", 60),
    ("inspect", 60),
    ("fuzzing", 60),
    ("cli", 70),
    ("conform", 80),
];

/// Rule, file, and why it may break the rule.
const EXCEPTIONS: [(&str, &str, &str); 1] = [(
    "function length",
    "src/format/qcow2/check/finding.rs",
    "one match with the words of every finding: split, it would lose the compiler's check that none is missing",
)];

#[test]
fn floors_import_downwards_only() {
    let mut faults = Faults::new("floors");
    for source in sources().iter().filter(|source| !source.is_test()) {
        let module = source.module();
        let Some(floor) = module.first().and_then(|name| floor_of(name)) else {
            continue;
        };
        for (number, name) in source.imported_floors(&module) {
            let own = module.first() == Some(&name);
            if !own && floor_of(&name).is_some_and(|other| other >= floor) {
                faults.add(source, number, &format!("imports {name}"));
            }
        }
    }
    faults.report();
}

#[test]
fn every_folder_is_on_a_floor() {
    let lib = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    for line in lib.lines() {
        let Some(name) = line
            .strip_prefix("pub mod ")
            .and_then(|line| line.strip_suffix(';'))
        else {
            continue;
        };
        assert!(floor_of(name).is_some(), "src/{name} is on no floor");
    }
}

#[test]
fn files_are_short() {
    let mut faults = Faults::new("file length");
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            faults.add(
                &source,
                lines,
                &format!("{lines} lines, at most {FILE_LINES_MAX}"),
            );
        }
    }
    faults.report();
}

#[test]
fn functions_are_short() {
    let mut faults = Faults::new("function length");
    for source in sources() {
        let most = if source.is_test() {
            TEST_FUNCTION_LINES_MAX
        } else {
            FUNCTION_LINES_MAX
        };
        for (number, name, lines) in functions(&source.text) {
            if lines > most {
                let what = format!("{name} has {lines} lines, at most {most}");
                faults.add(&source, number, &what);
            }
        }
    }
    faults.report();
}

#[test]
fn the_measure_of_functions_measures() {
    let body = "        work();\n".repeat(80);
    let text = format!(
        "trait T {{\n    fn declared(&self);\n}}\nimpl S {{\n    pub(crate) fn long(\n        one: u8,\n    ) {{\n{body}    }}\n\n    fn short() {{}}\n}}\n"
    );
    let measured: Vec<(String, usize)> = functions(&text)
        .into_iter()
        .map(|(_, name, lines)| (name, lines))
        .collect();
    assert_eq!(measured, [("long".to_owned(), 84), ("short".to_owned(), 1)]);
}

#[test]
fn tests_live_in_files_of_their_own_and_all_run() {
    let mut faults = Faults::new("tests");
    for source in sources() {
        for (number, line) in numbered(&source.text) {
            let line = line.trim_start();
            if line.starts_with("mod tests {") || line.starts_with("mod test {") {
                faults.add(&source, number, "tests inline");
            }
            if line.starts_with("#[ignore") {
                faults.add(&source, number, "a test that does not run");
            }
        }
    }
    faults.report();
}

#[test]
fn exceptions_to_lints_carry_a_reason() {
    let mut faults = Faults::new("lints");
    for source in sources() {
        for (start, line) in numbered(&source.text) {
            let attribute = line.trim_start();
            let is_exception = ["#[allow(", "#![allow(", "#[expect(", "#![expect("]
                .iter()
                .any(|prefix| attribute.starts_with(prefix));
            if !is_exception {
                continue;
            }
            let lines = source.text.lines().skip(start - 1);
            let mut whole = String::new();
            for line in lines {
                whole.push_str(line);
                if line.trim_end().ends_with(")]") {
                    break;
                }
            }
            if !whole.contains("reason = \"") {
                faults.add(&source, start, "a lint exception without a reason");
            }
        }
    }
    faults.report();
}

#[test]
fn every_iotest_has_its_goldens_and_every_golden_its_iotest() {
    let suite = suite();
    let mut expected: Vec<String> = suite
        .scripts
        .iter()
        .flat_map(|script| {
            let formats = script.header.formats.iter();
            formats.map(|format| format!("{}.{format}", script.name))
        })
        .collect();
    expected.sort();
    let mut found = Vec::new();
    for entry in std::fs::read_dir(suite.goldens.directory()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(name) = name.strip_suffix(".out") {
            found.push(name.to_owned());
        }
    }
    found.sort();
    assert_eq!(found, expected, "left: goldens, right: iotests");
}

#[test]
fn goldens_are_as_they_were_recorded() {
    let suite = suite();
    let provenance = suite.goldens.provenance().unwrap();
    assert!(!provenance.goldens.is_empty());
    for script in &suite.scripts {
        for format in &script.header.formats {
            let name = format!("{}.{format}", script.name);
            let golden = suite.goldens.read(&script.name, format).unwrap().unwrap();
            let origin = provenance
                .goldens
                .get(&name)
                .unwrap_or_else(|| panic!("{name}: nobody recorded it"));
            assert_eq!(
                digest(golden.as_bytes()),
                origin.sha256,
                "{name} was edited by hand"
            );
        }
    }
}

#[test]
fn iotests_call_tools_through_the_common_functions_only() {
    for script in &suite().scripts {
        let text = std::fs::read_to_string(&script.path).unwrap();
        assert!(
            text.contains(". \"$SUITE_COMMON\""),
            "{}: no common.sh",
            script.name
        );
        for (number, line) in numbered(&text) {
            let command = line.trim_start();
            assert!(
                !command.starts_with("qemu-img ") && !command.starts_with("qemu-io "),
                "{}:{number}: calls a tool by name, not the subject's",
                script.name
            );
        }
    }
}

/// The last column of each row names tests: a file, and in quotes or backquotes what of it.
#[test]
fn errata_are_held_by_tests_that_exist() {
    let text = std::fs::read_to_string(root().join("docs/errata.md")).unwrap();
    let mut rows = 0;
    for (number, line) in numbered(&text) {
        if !line.starts_with("| ") || line.starts_with("| text |") {
            continue;
        }
        rows += 1;
        let held_by = line.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for named in held_by
            .split(", `")
            .map(|named| named.trim_start_matches('`'))
        {
            let (file, what) = named.split_once('`').unwrap_or((named, ""));
            let test = std::fs::read_to_string(root().join(file))
                .unwrap_or_else(|_| panic!("docs/errata.md:{number}: no {file}"));
            let what = what.trim();
            let there = match what.strip_prefix('"') {
                Some(heading) => test.contains(&format!("say \"{}", heading.trim_end_matches('"'))),
                None if what.is_empty() => true,
                None => test.contains(&format!("fn {}(", what.trim_matches('`'))),
            };
            assert!(there, "docs/errata.md:{number}: no {what} in {file}");
        }
    }
    assert!(rows > 30, "the table was not read");
}

#[test]
fn iotest_numbers_are_used_once() {
    let suite = suite();
    for pair in suite.scripts.windows(2) {
        assert_ne!(
            pair[0].number(),
            pair[1].number(),
            "{} {}",
            pair[0].name,
            pair[1].name
        );
    }
}

#[test]
fn exceptions_are_still_needed() {
    for (rule, file, reason) in EXCEPTIONS {
        assert!(!reason.is_empty(), "{rule} {file}: no reason");
        assert!(root().join(file).exists(), "{rule}: {file} is gone");
    }
}

/// A Rust file of ours.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    fn is_test(&self) -> bool {
        self.path.components().any(|part| {
            let part = part.as_os_str();
            part == "tests.rs" || part == "tests"
        })
    }

    /// `src/format/qcow2/header.rs` → `format`, `qcow2`, `header`.
    fn module(&self) -> Vec<String> {
        let Ok(inside) = self.path.strip_prefix("src") else {
            return Vec::new();
        };
        let mut module: Vec<String> = inside
            .with_extension("")
            .components()
            .map(|part| part.as_os_str().to_string_lossy().into_owned())
            .collect();
        if module.last().is_some_and(|last| last == "mod") {
            module.pop();
        }
        module
    }

    /// Top-level modules that the code names, by `crate::` or by climbing with `super::`.
    fn imported_floors(&self, module: &[String]) -> Vec<(usize, String)> {
        let climb = "super::".repeat(module.len());
        let mut found = Vec::new();
        let mut in_root_list = false;
        for (number, line) in numbered(&self.text) {
            let code = line.split("//").next().unwrap_or_default();
            for prefix in ["crate::", climb.as_str()] {
                for (at, _) in code.match_indices(prefix) {
                    let rest = &code[at + prefix.len()..];
                    if code[..at].ends_with("super::") || code[..at].ends_with("::") {
                        continue;
                    }
                    found.push((number, leading_word(rest)));
                    in_root_list = rest.starts_with('{');
                    if in_root_list {
                        let items = rest.trim_matches(['{', '}', ';', ' ']).split(", ");
                        found.extend(items.map(|item| (number, leading_word(item))));
                    }
                }
            }
            if in_root_list {
                found.push((number, leading_word(code.trim_start())));
                in_root_list = !code.contains("};");
            }
        }
        found
    }
}

fn leading_word(text: &str) -> String {
    text.chars()
        .take_while(|character| character.is_alphanumeric() || *character == '_')
        .collect()
}

fn floor_of(name: &str) -> Option<u32> {
    FLOORS
        .iter()
        .find(|(floor, _)| *floor == name)
        .map(|(_, number)| *number)
}

/// What breaks a rule, all of it at once.
struct Faults {
    rule: &'static str,
    text: String,
}

impl Faults {
    fn new(rule: &'static str) -> Self {
        Self {
            rule,
            text: String::new(),
        }
    }

    fn add(&mut self, source: &Source, line: usize, what: &str) {
        let file = source.path.display().to_string();
        if !EXCEPTIONS
            .iter()
            .any(|(rule, path, _)| *rule == self.rule && *path == file)
        {
            let _ = writeln!(self.text, "{file}:{line}: {what}");
        }
    }

    fn report(self) {
        assert!(self.text.is_empty(), "{}:\n{}", self.rule, self.text);
    }
}

fn root() -> &'static Path {
    Suite::default_root()
}

fn suite() -> Suite {
    Suite::load(root()).unwrap()
}

/// All Rust files of the package.
fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    for folder in ["src", "iotests", "tools", "fuzz/fuzz_targets"] {
        collect(Path::new(folder), &mut sources);
    }
    assert!(sources.len() > 50, "the rules look at the wrong place");
    sources
}

fn collect(folder: &Path, sources: &mut Vec<Source>) {
    let Ok(entries) = std::fs::read_dir(root().join(folder)) else {
        return;
    };
    for entry in entries {
        let entry = entry.unwrap();
        let path = folder.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            collect(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            sources.push(Source { path, text });
        }
    }
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
}

/// First line, name and length of each function with a body. rustfmt closes a body at the
/// indentation of its `fn`.
fn functions(text: &str) -> Vec<(usize, String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let Some(name) = function_name(code) else {
            continue;
        };
        let indentation = &line[..line.len() - code.len()];
        let opening = lines[index..]
            .iter()
            .position(|line| line.ends_with(['{', ';', '}']))
            .unwrap_or_default();
        let opens = lines[index + opening].ends_with('{');
        let one_line = lines[index + opening].ends_with('}');
        let closing = format!("{indentation}}}");
        let end = lines[index..].iter().position(|line| **line == closing);
        match (opens, end) {
            (true, Some(end)) => found.push((index + 1, name, end + 1)),
            _ if one_line => found.push((index + 1, name, opening + 1)),
            _ => {}
        }
    }
    found
}

fn function_name(code: &str) -> Option<String> {
    let mut words = code.split_whitespace();
    let is_modifier = |word: &str| {
        word.starts_with("pub") || ["const", "async", "unsafe", "extern", "\"C\""].contains(&word)
    };
    let first = words.find(|word| !is_modifier(word))?;
    (first == "fn")
        .then(|| words.next().map(leading_word))
        .flatten()
}
