//! `create` with all its options, pairwise: the same words, the same exit code, the same bytes in every file. What a
//! LUKS header must have of its own (digest, salts, UUID, iterations, key material) is masked.
//! `COWPROOF_WHOLE_MATRIX=1` tries ten times as many combinations.

#[path = "create/options.rs"]
mod options;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::history::Random;
use crate::support::Tools;

pub use options::MATRICES;

/// What `COWPROOF_WHOLE_MATRIX=1` multiplies the combinations of each format by.
const WHOLE: usize = 10;

/// An option with its levels; each level is a list of words for the command line, `-o` values joined later.
struct Factor {
    levels: &'static [&'static str],
}

/// A format and its options. A level that starts with `-` is words of its own, one that starts with a digit the size.
pub struct Matrix {
    pub format: &'static str,
    /// Options that every combination has.
    fixed: &'static str,
    factors: &'static [Factor],
    rows: usize,
}

type Row = Vec<usize>;

/// What a run of one matrix covered.
pub struct Coverage {
    pub rows: usize,
    pub created: usize,
    pub pairs: usize,
    pub possible_pairs: usize,
}

fn pairs(row: &Row) -> impl Iterator<Item = (usize, usize, usize, usize)> {
    (0..row.len()).flat_map(move |a| (a + 1..row.len()).map(move |b| (a, row[a], b, row[b])))
}

impl Matrix {
    fn arguments(&self, row: &Row) -> Vec<String> {
        let mut words = [
            "create",
            "--object",
            "secret,id=s,data=pw",
            "-f",
            self.format,
        ]
        .map(str::to_owned)
        .to_vec();
        let mut options: Vec<&str> = Some(self.fixed)
            .filter(|text| !text.is_empty())
            .into_iter()
            .collect();
        let mut size = "0";
        for (factor, level) in self.factors.iter().zip(row) {
            let level = factor.levels[*level];
            if level.starts_with('-') {
                words.extend(level.split(' ').map(str::to_owned));
            } else if level.starts_with(|c: char| c.is_ascii_digit()) {
                size = level;
            } else if !level.is_empty() {
                options.push(level);
            }
        }
        if !options.is_empty() {
            words.extend(["-o".to_owned(), options.join(",")]);
        }
        words.extend(["t.img".to_owned(), size.to_owned()]);
        words
    }

    /// Names that the tool's help lists and that no combination has.
    pub fn missing(&self, tools: &Tools) -> Vec<String> {
        let help = Command::new(&tools.img)
            .args(["create", "-f", self.format, "-o", "help", "t.img"])
            .output()
            .expect("a tool that starts");
        let help = String::from_utf8_lossy(&help.stdout).into_owned();
        let levels = self.factors.iter().flat_map(|factor| factor.levels);
        let tried: Vec<&str> = std::iter::once(&self.fixed)
            .chain(levels)
            .flat_map(|level| level.split(','))
            .filter_map(|option| option.split_once('=').map(|(name, _)| name))
            .chain(["size"])
            .collect();
        let listed = help
            .lines()
            .filter_map(|line| line.strip_prefix("  ")?.split_once("=<"))
            .map(|(name, _)| name);
        let mut listed = listed.peekable();
        assert!(listed.peek().is_some(), "no options in: {help}");
        listed
            .filter(|name| !tried.contains(name))
            .map(str::to_owned)
            .collect()
    }

    /// The row of many random ones that covers most pairs which no image has had yet.
    fn next_row(&self, random: &mut Random, done: &BTreeSet<(usize, usize, usize, usize)>) -> Row {
        let row = |random: &mut Random| -> Row {
            // Most options exclude others: half of them keep their default.
            let level = |factor: &Factor| {
                let levels = factor.levels.len() as u64;
                let some = random.below(2 * levels);
                let chosen = if some < levels { some } else { 0 };
                usize::try_from(chosen).expect("an index")
            };
            self.factors.iter().map(level).collect()
        };
        let candidates: Vec<Row> = (0..20).map(|_| row(random)).collect();
        let gain = |row: &Row| pairs(row).filter(|pair| !done.contains(pair)).count();
        candidates.into_iter().max_by_key(gain).expect("candidates")
    }

    /// Runs the matrix; each difference is a line.
    pub fn run(&self, seed: u64, ours: &Tools, theirs: &Tools) -> (Coverage, Vec<String>) {
        let mut random = Random::new(seed);
        let mut covered = BTreeSet::new();
        let mut refused = BTreeSet::new();
        let mut created = 0;
        let mut differences = Vec::new();
        let rows = match std::env::var_os("COWPROOF_WHOLE_MATRIX") {
            Some(_) => self.rows * WHOLE,
            None => self.rows,
        };
        for _ in 0..rows {
            let done = &covered | &refused;
            let row = self.next_row(&mut random, &done);
            let arguments = self.arguments(&row);
            let (us, them) = (
                Outcome::of(ours, &arguments),
                Outcome::of(theirs, &arguments),
            );
            if let Some(difference) = us.difference(&them) {
                differences.push(format!("qemu-img {}: {difference}", arguments.join(" ")));
            }
            if them.success {
                created += 1;
                covered.extend(pairs(&row));
            } else {
                refused.extend(pairs(&row));
            }
        }
        let levels: Vec<usize> = self
            .factors
            .iter()
            .map(|factor| factor.levels.len())
            .collect();
        let possible_pairs = (0..levels.len())
            .flat_map(|a| (a + 1..levels.len()).map(move |b| (a, b)))
            .map(|(a, b)| levels[a] * levels[b])
            .sum();
        let coverage = Coverage {
            rows,
            created,
            pairs: covered.len(),
            possible_pairs,
        };
        (coverage, differences)
    }
}

/// What one `create` said and left behind.
struct Outcome {
    success: bool,
    crashed: bool,
    said: String,
    files: Vec<(&'static str, Option<Vec<u8>>)>,
}

impl Outcome {
    fn of(tools: &Tools, arguments: &[String]) -> Self {
        let room = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(room.path().join("base.raw"), vec![7; 70_000]).expect("a base");
        let output = Command::new(&tools.img)
            .args(arguments)
            .current_dir(room.path())
            .output()
            .expect("a tool that starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let read = |name: &'static str| (name, read_masked(&room.path().join(name)));
        Self {
            success: output.status.success(),
            crashed: output.status.code().is_none(),
            said: format!(
                "{}{}{}",
                output.status,
                text(&output.stdout),
                text(&output.stderr)
            ),
            files: vec![read("t.img"), read("data")],
        }
    }

    fn difference(&self, them: &Self) -> Option<String> {
        if them.crashed {
            return (self.crashed || self.success)
                .then(|| format!("the real tool crashes: {}", self.said));
        }
        if self.said != them.said {
            return Some(format!("\n  us:   {}\n  them: {}", self.said, them.said));
        }
        for ((name, us), (_, theirs)) in self.files.iter().zip(&them.files) {
            match (us, theirs) {
                // docs/differences.md: of an image that can't be made nothing stays.
                (None, Some(_)) if !them.success => {}
                (Some(us), Some(theirs)) if us.len() != theirs.len() => {
                    return Some(format!("{name}: {} and {} bytes", us.len(), theirs.len()));
                }
                (Some(us), Some(theirs)) if us != theirs => {
                    let at = us.iter().zip(theirs).position(|(a, b)| a != b);
                    return Some(format!("{name} differs at {at:?}"));
                }
                (Some(_), None) | (None, Some(_)) => return Some(format!("{name} is only one's")),
                _ => {}
            }
        }
        None
    }
}

fn be(bytes: &[u8], at: usize, width: usize) -> usize {
    bytes[at..at + width]
        .iter()
        .fold(0, |value, byte| value << 8 | usize::from(*byte))
}

/// A file with what is random in its LUKS header wiped.
fn read_masked(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = std::fs::read(path).ok()?;
    if bytes.starts_with(b"LUKS\xba\xbe") {
        mask_luks(&mut bytes);
    } else if bytes.starts_with(b"QFI\xfb") && bytes.len() > 112 {
        let mut at = if be(&bytes, 4, 4) == 2 {
            72
        } else {
            be(&bytes, 100, 4)
        };
        while at + 8 < bytes.len() && be(&bytes, at, 4) != 0 {
            if be(&bytes, at, 4) == 0x0537_be77 {
                let (start, length) = (be(&bytes, at + 8, 8), be(&bytes, at + 16, 8));
                mask_luks(&mut bytes[start..start + length]);
                break;
            }
            at += 8 + be(&bytes, at + 4, 4).next_multiple_of(8);
        }
    }
    Some(bytes)
}

/// Digest with salt and iterations, UUID; iterations, salt and stripes of slot 0 (luks1 §2). Nothing else: a stripe too
/// many and the empty slots' numbers are compared.
fn mask_luks(area: &mut [u8]) {
    let key_bytes = be(area, 108, 4);
    let (start, stripes) = (be(area, 248, 4) * 512, be(area, 252, 4));
    for range in [112..208, 212..248, start..start + key_bytes * stripes] {
        let secret = &mut area[range];
        assert!(secret.iter().any(|&byte| byte != 0), "nothing was written");
        secret.fill(0);
    }
}
