//! The one error type: who is to blame, in words, with an errno for callers that only speak errno.

use std::fmt;

/// What every fallible function here returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errno values that drivers report, named so that no bare number appears in the code.
pub mod errno {
    /// Operation not permitted.
    pub const EPERM: i32 = 1;
    /// No such file or directory.
    pub const ENOENT: i32 = 2;
    /// Input/output error.
    pub const EIO: i32 = 5;
    /// Resource temporarily unavailable: a lock is held elsewhere.
    pub const EAGAIN: i32 = 11;
    /// Cannot allocate memory.
    pub const ENOMEM: i32 = 12;
    /// Permission denied.
    pub const EACCES: i32 = 13;
    /// Device or resource busy.
    pub const EBUSY: i32 = 16;
    /// Invalid argument.
    pub const EINVAL: i32 = 22;
    /// File too large.
    pub const EFBIG: i32 = 27;
    /// No space left on device.
    pub const ENOSPC: i32 = 28;
    /// Read-only file system.
    pub const EROFS: i32 = 30;
    /// Numerical result out of range.
    pub const ERANGE: i32 = 34;
    /// No medium found: the node is no longer usable.
    pub const ENOMEDIUM: i32 = 123;
    /// Operation not supported.
    pub const ENOTSUP: i32 = 95;
}

/// Who is to blame, so that a caller can decide what to do without reading words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The image breaks its format's rules.
    InvalidImage,
    /// The image (or request) is valid but uses something that is not built here.
    Unsupported,
    /// A secret is missing, unknown, malformed or does not unlock the image.
    Key,
    /// The caller asked for something impossible: bad option, bad range, wrong mode.
    Caller,
    /// Another process holds the image.
    Busy,
    /// Reading or writing failed underneath.
    Io,
}

/// An error: kind, words, optional hint lines, an errno, and the error below it.
///
/// `Display` gives the words, or the errno's text when there are no words of our own ("bare").
/// The drop-in tools add their prefixes ("Could not open '…': ") with [`Error::prefixed`].
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    message: String,
    hints: Vec<String>,
    unended: bool,
    errno: i32,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error with words of its own.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let errno = match kind {
            Kind::InvalidImage | Kind::Caller => errno::EINVAL,
            Kind::Unsupported => errno::ENOTSUP,
            Kind::Key => errno::EPERM,
            Kind::Busy => errno::EAGAIN,
            Kind::Io => errno::EIO,
        };
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            hints: Vec::new(),
            unended: false,
            errno,
            source: None,
        }))
    }

    /// The image breaks its format's rules.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidImage, message)
    }

    /// Valid, but not built here.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(Kind::Unsupported, message)
    }

    /// Something is wrong with a secret.
    pub fn key(message: impl Into<String>) -> Self {
        Self::new(Kind::Key, message)
    }

    /// The caller's mistake.
    pub fn caller(message: impl Into<String>) -> Self {
        Self::new(Kind::Caller, message)
    }

    /// An error that has nothing to say but its errno ("bare"), like a failed system call.
    pub fn bare(errno: i32) -> Self {
        let kind = match errno {
            errno::EINVAL | errno::EFBIG | errno::ERANGE => Kind::Caller,
            errno::ENOTSUP => Kind::Unsupported,
            errno::EAGAIN | errno::EBUSY => Kind::Busy,
            _ => Kind::Io,
        };
        Self(Box::new(Inner {
            kind,
            message: String::new(),
            hints: Vec::new(),
            unended: false,
            errno,
            source: None,
        }))
    }

    /// Bare EIO: what corrupted mappings and undecodable clusters end in.
    pub fn eio() -> Self {
        Self::bare(errno::EIO)
    }

    /// Replaces the errno.
    #[must_use]
    pub fn with_errno(mut self, errno: i32) -> Self {
        self.0.errno = errno;
        self
    }

    /// Adds a line that is printed after the message, on its own.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hints.push(hint.into());
        self
    }

    /// Adds a last line that stays without an end: so the real tool prints it.
    #[must_use]
    pub fn with_unended_hint(self, hint: impl Into<String>) -> Self {
        let mut error = self.with_hint(hint);
        error.0.unended = true;
        error
    }

    /// False when the last hint's line has no end.
    pub fn ends_its_last_line(&self) -> bool {
        !self.0.unended
    }

    /// Attaches the error that caused this one.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Puts words in front of the message: `prefix` + message (a bare error's message is its errno text).
    #[must_use]
    pub fn prefixed(mut self, prefix: impl fmt::Display) -> Self {
        self.0.message = format!("{prefix}{self}");
        self
    }

    /// Puts words in front of an errno's text; an error with words of its own stays as it is.
    #[must_use]
    pub fn prefixed_when_bare(self, prefix: impl fmt::Display) -> Self {
        if self.is_bare() {
            self.prefixed(prefix)
        } else {
            self
        }
    }

    /// Who is to blame.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The errno that stands for this error.
    pub fn errno(&self) -> i32 {
        self.0.errno
    }

    /// The errno's text, whatever the message: what `read failed: …` prints.
    pub fn errno_text(&self) -> String {
        strerror(self.0.errno)
    }

    /// True when there are no words but the errno's.
    pub fn is_bare(&self) -> bool {
        self.0.message.is_empty()
    }

    /// The hint lines, in order.
    pub fn hints(&self) -> &[String] {
        &self.0.hints
    }
}

/// The operating system's text for an errno, without the number that std appends.
pub fn strerror(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    match text.rfind(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_bare() {
            f.write_str(&self.errno_text())
        } else {
            f.write_str(&self.0.message)
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.to_string())
            .field("errno", &self.0.errno)
            .field("hints", &self.0.hints)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|e| e as &(dyn std::error::Error + 'static))
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::bare(error.raw_os_error().unwrap_or(errno::EIO)).with_source(error)
    }
}

#[cfg(test)]
mod tests;
