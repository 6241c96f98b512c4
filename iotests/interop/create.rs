//! `create` with all its options, pairwise: the same words, the same exit code, the same bytes in every file. What a
//! LUKS header must have of its own (digest, salts, UUID, iterations, key material) is masked.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::history::Random;
use crate::support::Tools;

/// An option with its levels; each level is a list of words for the command line, `-o` values joined later.
struct Factor {
    levels: &'static [&'static str],
}

const fn factor(levels: &'static [&'static str]) -> Factor {
    Factor { levels }
}

/// A format and its options. A level that starts with `-` is a word of its own, one that starts with a digit the size.
pub struct Matrix {
    pub format: &'static str,
    factors: &'static [Factor],
    rows: usize,
}

const LUKS: &str = "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10";
const LUKS_CBC: &str = "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10,encrypt.cipher-mode=cbc,\
    encrypt.ivgen-alg=essiv,encrypt.ivgen-hash-alg=sha256,encrypt.hash-alg=sha1,encrypt.cipher-alg=aes-128";

/// The formats.
pub const MATRICES: [Matrix; 1] = [Matrix {
    format: "qcow2",
    factors: &[
        factor(&["0", "1000", "1049088", "9M"]),
        factor(&["", "compat=0.10", "compat=1.1", "compat=v3"]),
        factor(&[
            "",
            "cluster_size=512",
            "cluster_size=4k",
            "cluster_size=64k",
            "cluster_size=2M",
        ]),
        factor(&[
            "",
            "refcount_bits=1",
            "refcount_bits=8",
            "refcount_bits=16",
            "refcount_bits=64",
        ]),
        factor(&["", "compression_type=zlib", "compression_type=zstd"]),
        factor(&["", "lazy_refcounts=on", "lazy_refcounts=off"]),
        factor(&["", "extended_l2=on", "extended_l2=off"]),
        factor(&[
            "",
            "preallocation=off",
            "preallocation=metadata",
            "preallocation=falloc",
            "preallocation=full",
        ]),
        factor(&[
            "",
            "encrypt.format=aes,encrypt.key-secret=s",
            "encryption=on,encrypt.key-secret=s",
            LUKS,
            LUKS_CBC,
        ]),
        factor(&[
            "",
            "backing_file=base.raw,backing_fmt=raw",
            "-b base.raw -F raw",
            "-u -b gone -F qcow2",
        ]),
        factor(&[
            "",
            "data_file=data",
            "data_file=data,data_file_raw=on",
            "data_file_raw=off",
        ]),
    ],
    rows: 60,
}];

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
        let mut options = Vec::new();
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
        for _ in 0..self.rows {
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
            rows: self.rows,
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
        if self.said != them.said {
            return Some(format!("\n  us:   {}\n  them: {}", self.said, them.said));
        }
        for ((name, us), (_, them)) in self.files.iter().zip(&them.files) {
            match (us, them) {
                (Some(us), Some(them)) if us.len() != them.len() => {
                    return Some(format!("{name}: {} and {} bytes", us.len(), them.len()));
                }
                (Some(us), Some(them)) if us != them => {
                    let at = us.iter().zip(them).position(|(a, b)| a != b);
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
    if bytes.starts_with(b"QFI\xfb") && bytes.len() > 112 {
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

/// Digest with salt and iterations, UUID; iterations and salt of slot 0; key material (luks1 §2).
fn mask_luks(area: &mut [u8]) {
    let end = area.len();
    for range in [112..208, 212..248, 4096..end] {
        area[range].fill(0);
    }
}
