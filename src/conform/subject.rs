//! A subject: a directory with tools named `qemu-img` and `qemu-io`, whoever wrote them.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::link::{TOOL_NAMES, make_links};

/// An implementation under test.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its column in the matrix.
    pub name: String,
    /// Where its tools are.
    pub directory: PathBuf,
    /// Whose tools they are.
    pub kind: SubjectKind,
    /// The package that they come from, where that was looked up: it may have goldens of its own.
    pub package: Option<String>,
}

/// Whose tools a subject's are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubjectKind {
    /// This program, called through links.
    BuiltIn,
    /// QEMU's own: goldens may be recorded from them.
    RealTools,
    /// Anyone's.
    Other,
    /// Nobody's: the real tools were asked for and are not here.
    Absent,
}

/// Why a subject can't be run.
#[derive(Debug, thiserror::Error)]
pub enum SubjectError {
    /// `--subject` was given something else than `NAME=DIR`.
    #[error("--subject {0}: expected NAME=DIR, NAME=auto or NAME=builtin")]
    Grammar(String),
    /// A tool is not where it should be.
    #[error("subject {name}: no {tool} in {}", directory.display())]
    ToolMissing {
        /// The subject.
        name: String,
        /// The tool.
        tool: &'static str,
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// The real tools are not on PATH.
    #[error("no qemu-img")]
    NoRealTools,
    /// The links to ourselves can't be made.
    #[error("subject {name}: {error}")]
    Links {
        /// The subject.
        name: String,
        /// What the system said.
        error: io::Error,
    },
}

/// What is needed to find subjects.
#[derive(Debug)]
pub struct SubjectFinder {
    /// This program.
    pub program: PathBuf,
    /// A private directory for links to it.
    pub links: PathBuf,
    /// `PATH`.
    pub search_path: std::ffi::OsString,
}

impl SubjectFinder {
    /// A `--subject` argument: `NAME=DIR`, `NAME=auto` (the real tools on PATH), `NAME=builtin`.
    pub fn find(&self, argument: &str) -> Result<Subject, SubjectError> {
        match argument.split_once('=') {
            Some(("", _) | (_, "")) | None => Err(SubjectError::Grammar(argument.to_owned())),
            Some((name, "auto")) => Ok(self
                .real_tools(name)
                .unwrap_or_else(|_| Subject::absent(name))),
            Some((name, "builtin")) => self.built_in(name),
            Some((name, directory)) => self.at(name, Path::new(directory)),
        }
    }

    /// This program through links of its own, as any other subject: a directory with two tools.
    pub fn built_in(&self, name: &str) -> Result<Subject, SubjectError> {
        make_links(&self.links, &self.program, true).map_err(|error| SubjectError::Links {
            name: name.to_owned(),
            error,
        })?;
        Ok(Subject {
            name: name.to_owned(),
            directory: self.links.clone(),
            kind: SubjectKind::BuiltIn,
            package: None,
        })
    }

    /// The first directory on PATH with both tools, when they aren't links to us.
    pub fn real_tools(&self, name: &str) -> Result<Subject, SubjectError> {
        std::env::split_paths(&self.search_path)
            .filter(|directory| directory.is_absolute())
            .find(|directory| self.kind_of(directory) == Some(SubjectKind::RealTools))
            .map(|directory| Subject {
                name: name.to_owned(),
                directory,
                kind: SubjectKind::RealTools,
                package: None,
            })
            .ok_or(SubjectError::NoRealTools)
    }

    fn at(&self, name: &str, directory: &Path) -> Result<Subject, SubjectError> {
        let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        if let Some(tool) = TOOL_NAMES
            .into_iter()
            .find(|tool| !directory.join(tool).is_file())
        {
            return Err(SubjectError::ToolMissing {
                name: name.to_owned(),
                tool,
                directory,
            });
        }
        let kind = self.kind_of(&directory).unwrap_or(SubjectKind::Other);
        Ok(Subject {
            name: name.to_owned(),
            directory,
            kind,
            package: None,
        })
    }

    /// `None`: not both tools are there.
    fn kind_of(&self, directory: &Path) -> Option<SubjectKind> {
        let mut kind = SubjectKind::RealTools;
        for tool in TOOL_NAMES {
            let path = directory.join(tool);
            if !path.is_file() {
                return None;
            }
            if self.is_ours(&path) {
                return Some(SubjectKind::BuiltIn);
            }
            let expected = format!("{tool} version ");
            if !version_line(&path).is_some_and(|line| line.starts_with(&expected)) {
                kind = SubjectKind::Other;
            }
        }
        Some(kind)
    }

    /// A link to this program, or to another build of it.
    fn is_ours(&self, tool: &Path) -> bool {
        let Ok(target) = tool.canonicalize() else {
            return false;
        };
        target.file_name() == Some(OsStr::new("cowproof"))
            || self.program.canonicalize().is_ok_and(|own| own == target)
    }
}

impl Subject {
    /// A subject whose every test is skipped.
    fn absent(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            directory: PathBuf::new(),
            kind: SubjectKind::Absent,
            package: None,
        }
    }

    /// One of its tools.
    pub fn tool(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// First line of `qemu-img --version`.
    pub fn version(&self) -> Option<String> {
        if self.kind == SubjectKind::Absent {
            return None;
        }
        version_line(&self.tool("qemu-img"))
    }

    /// The Debian package that the tools come from, with its version, where there is such a thing.
    pub fn find_package(&self) -> Option<String> {
        let owner = output_of(
            Command::new("dpkg-query")
                .arg("-S")
                .arg(self.tool("qemu-img")),
        )?;
        let package = owner.split(':').next()?.to_owned();
        let format = "${Package} ${Version}";
        output_of(Command::new("dpkg-query").args(["-W", "-f", format, &package]))
    }
}

fn version_line(tool: &Path) -> Option<String> {
    let output = output_of(Command::new(tool).arg("--version"))?;
    output.lines().next().map(str::to_owned)
}

fn output_of(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests;
