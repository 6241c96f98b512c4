//! What a command is, and how it ends.

use super::session::Session;
use crate::base::Error;

/// Why a command failed, and where that is said.
#[derive(Debug)]
pub(super) enum Complaint {
    /// It has been said.
    Said,
    /// The command's one-line usage.
    Usage,
    /// `getopt`'s words on standard error, then the usage.
    Grammar(String),
    /// A line on standard output.
    Output(String),
    /// A line on standard error.
    Error(String),
    /// `qemu-io: words` on standard error.
    Report(Error),
}

impl From<Error> for Complaint {
    fn from(error: Error) -> Self {
        Self::Report(error)
    }
}

/// How a command ends.
pub(super) type Outcome = Result<(), Complaint>;

/// What a command needs before it is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nothing.
    Nothing,
    /// An open image.
    Image,
    /// An open image that may be written to.
    WritableImage,
}

/// One command.
pub(super) struct Command {
    pub(super) name: &'static str,
    /// A second name.
    pub(super) alias: Option<&'static str>,
    /// Fewest and most words behind the name, options included; `None`: any number.
    pub(super) fewest: usize,
    pub(super) most: Option<usize>,
    pub(super) needs: Needs,
    pub(super) arguments: Option<&'static str>,
    pub(super) summary: &'static str,
    /// The long text of `help NAME`.
    pub(super) text: &'static str,
    pub(super) run: fn(&mut Session, &[&str]) -> Outcome,
}

impl Command {
    /// `name arguments -- summary`, under the name it was called by.
    pub(super) fn usage(&self, called: &str) -> String {
        match self.arguments {
            Some(arguments) => format!("{called} {arguments} -- {}", self.summary),
            None => format!("{called} -- {}", self.summary),
        }
    }

    /// The complaint about a number of words that can't be right.
    pub(super) fn miscount(&self, called: &str, count: usize) -> Option<String> {
        let fits = count >= self.fewest && self.most.is_none_or(|most| count <= most);
        if fits {
            return None;
        }
        let fewest = self.fewest;
        let expected = match self.most {
            None => format!("at least {fewest} arguments"),
            Some(most) if most == fewest => format!("{fewest} arguments"),
            Some(most) => format!("between {fewest} and {most} arguments"),
        };
        Some(format!(
            "bad argument count {count} to {called}, expected {expected}"
        ))
    }
}
