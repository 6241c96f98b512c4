//! How a subcommand ends when it does not succeed.

use crate::base::Error;

/// What a subcommand gives: an exit code, or words and an exit code.
pub type Outcome = Result<u8, Failure>;

/// The end of a subcommand that failed, with its exit code.
#[derive(Debug)]
pub enum Failure {
    /// `qemu-img: words`, then the error's hints.
    Error(Error, u8),
    /// `qemu-img: words`, then where to find help.
    Usage(String),
    /// `qemu-img map: words` from the option parser, then where to find help.
    Grammar(String),
    /// Everything is said already (also `--help`, with code 0).
    Said(u8),
}

impl Failure {
    /// `qemu-img: words` and exit code 1.
    pub fn words(words: impl Into<String>) -> Self {
        Self::Error(Error::caller(words), 1)
    }

    /// The same failure with another exit code.
    #[must_use]
    pub fn with_code(self, code: u8) -> Self {
        match self {
            Self::Error(error, _) => Self::Error(error, code),
            other => other,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error, 1)
    }
}
