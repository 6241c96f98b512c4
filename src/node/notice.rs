//! Lines that a driver has to say while it works (an image marked corrupt, an automatic repair).
//!
//! The library never touches a terminal: whoever opens a node says where its notices go.

use std::fmt;
use std::sync::Arc;

/// Ends a notice that has no newline behind it.
pub const NO_NEWLINE: char = '\0';

/// Ends a notice behind which the tool ends: two copies of the same bytes differ, and going on would hide it.
pub const LAST: char = '\u{4}';

/// Whether the real tools put their name in front of such a line; of the others a driver speaks itself.
pub fn carries_program_name(line: &str) -> bool {
    [
        "warning: ",
        "Failed to flush ",
        "Could not resize file: ",
        "Lost persistent bitmaps ",
    ]
    .iter()
    .any(|start| line.starts_with(start))
}

type Sink = Arc<dyn Fn(&str) + Send + Sync>;

/// Where notices go; by default nowhere.
#[derive(Clone, Default)]
pub struct Notices(Option<Sink>);

impl Notices {
    /// Hands every line (without a newline) to `sink`.
    pub fn to(sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(sink)))
    }

    /// Says one line with an explanation below it that nothing ends: what comes next follows on the same line, as
    /// after the real tools' explanations of warnings.
    pub fn say_with_tail(&self, line: &str, tail: &str) {
        self.say(&format!("{line}\n{tail}{NO_NEWLINE}"));
    }

    /// Says the last line of this run.
    pub fn say_last(&self, line: &str) {
        self.say(&format!("{line}{LAST}"));
    }

    /// Says one line.
    pub fn say(&self, line: &str) {
        if let Some(sink) = &self.0 {
            sink(line);
        }
    }
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Notices(on)"
        } else {
            "Notices(off)"
        })
    }
}
