//! One step of a history, in the words of `qemu-io` and `qemu-img`.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use crate::configuration::Base;

/// What `seq 1 60000 > pattern` writes: no two clusters of it are alike.
static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| {
    (1..=60_000)
        .flat_map(|number: u32| format!("{number}\n").into_bytes())
        .collect()
});

/// The bytes of the file `pattern`.
pub fn pattern_file() -> &'static [u8] {
    &PATTERN
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// `-P`
    Byte(u8),
    /// `-s pattern`
    Pattern,
}

impl Fill {
    /// `length` bytes of it.
    pub fn bytes(self, length: usize) -> Vec<u8> {
        match self {
            Self::Byte(byte) => vec![byte; length],
            Self::Pattern => PATTERN.iter().copied().cycle().take(length).collect(),
        }
    }
}

/// A range of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub offset: u64,
    pub length: u64,
}

impl Span {
    /// Behind its last byte.
    pub const fn end(self) -> u64 {
        self.offset + self.length
    }

    /// As a range of a vector.
    pub fn range(self) -> std::ops::Range<usize> {
        let at = |value| usize::try_from(value).expect("a disk that fits into memory");
        at(self.offset)..at(self.end())
    }
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Write(Span, Fill),
    Compressed(Span, Fill),
    Zero { span: Span, unmap: bool },
    Discard(Span),
    Truncate(u64),
    VmState(Span, u8),
    Flush,
    Reopen,
    SnapshotCreate(u32),
    SnapshotApply(u32),
    SnapshotDelete(u32),
    Commit,
    Rebase(Option<Base>),
}

impl Operation {
    /// A command of `qemu-io`; the others are `qemu-img`'s, or a new session.
    pub const fn is_io(self) -> bool {
        matches!(
            self,
            Self::Write(..)
                | Self::Compressed(..)
                | Self::Zero { .. }
                | Self::Discard(_)
                | Self::Truncate(_)
                | Self::VmState(..)
                | Self::Flush
        )
    }
}

impl fmt::Display for Fill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Byte(byte) => write!(f, "-P {byte}"),
            Self::Pattern => f.write_str("-s pattern"),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.offset, self.length)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(span, fill) => write!(f, "write {fill} {span}"),
            Self::Compressed(span, fill) => write!(f, "write -c {fill} {span}"),
            Self::Zero { span, unmap: false } => write!(f, "write -z {span}"),
            Self::Zero { span, unmap: true } => write!(f, "write -z -u {span}"),
            Self::Discard(span) => write!(f, "discard {span}"),
            Self::Truncate(length) => write!(f, "truncate {length}"),
            Self::VmState(span, byte) => write!(f, "write -b -P {byte} {span}"),
            Self::Flush => f.write_str("flush"),
            Self::Reopen => f.write_str("reopen"),
            Self::SnapshotCreate(number) => write!(f, "snapshot -c s{number}"),
            Self::SnapshotApply(number) => write!(f, "snapshot -a s{number}"),
            Self::SnapshotDelete(number) => write!(f, "snapshot -d s{number}"),
            Self::Commit => f.write_str("commit"),
            Self::Rebase(base) => write!(f, "rebase {}", base.map_or("none", Base::file)),
        }
    }
}

impl FromStr for Operation {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |word: &str| word.parse::<u64>().map_err(|e| format!("{line}: {e}"));
        let byte = |word: &str| word.parse::<u8>().map_err(|e| format!("{line}: {e}"));
        let snapshot = |word: &str| {
            let digits = word.strip_prefix('s').unwrap_or(word);
            digits.parse::<u32>().map_err(|e| format!("{line}: {e}"))
        };
        let span = |offset: &str, length: &str| {
            Ok::<_, String>(Span {
                offset: number(offset)?,
                length: number(length)?,
            })
        };
        let fill = |flag: &str, word: &str| match flag {
            "-s" => Ok(Fill::Pattern),
            _ => byte(word).map(Fill::Byte),
        };
        Ok(match words[..] {
            ["write", "-c", flag, word, a, b] => Self::Compressed(span(a, b)?, fill(flag, word)?),
            ["write", "-b", "-P", word, a, b] => Self::VmState(span(a, b)?, byte(word)?),
            ["write", "-z", "-u", a, b] => Self::Zero {
                span: span(a, b)?,
                unmap: true,
            },
            ["write", "-z", a, b] => Self::Zero {
                span: span(a, b)?,
                unmap: false,
            },
            ["write", flag, word, a, b] => Self::Write(span(a, b)?, fill(flag, word)?),
            ["discard", a, b] => Self::Discard(span(a, b)?),
            ["truncate", length] => Self::Truncate(number(length)?),
            ["flush"] => Self::Flush,
            ["reopen"] => Self::Reopen,
            ["snapshot", "-c", name] => Self::SnapshotCreate(snapshot(name)?),
            ["snapshot", "-a", name] => Self::SnapshotApply(snapshot(name)?),
            ["snapshot", "-d", name] => Self::SnapshotDelete(snapshot(name)?),
            ["commit"] => Self::Commit,
            ["rebase", "a.raw"] => Self::Rebase(Some(Base::A)),
            ["rebase", "b.qcow2"] => Self::Rebase(Some(Base::B)),
            ["rebase", "none"] => Self::Rebase(None),
            _ => return Err(format!("not an operation: {line}")),
        })
    }
}
