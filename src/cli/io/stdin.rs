//! Lines of standard input, without losing sight of requests that finish meanwhile.

use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How often finished requests are looked for while the other side is silent.
const GLANCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 1_000_000,
};

/// Longer lines are as good as several.
const MOST_BYTES: usize = 1023;

/// A line reader on standard input.
#[derive(Default)]
pub(super) struct Lines {
    bytes: Vec<u8>,
    start: usize,
    ended: bool,
}

impl Lines {
    /// The next line without its end; `None` at the end of the input. `idle` is called while there is nothing to
    /// read, as long as it says true.
    pub(super) fn next(&mut self, mut idle: impl FnMut() -> bool) -> Option<String> {
        loop {
            let rest = &self.bytes[self.start..];
            let end = rest.iter().position(|&byte| byte == b'\n');
            if let Some(length) = end.filter(|&length| length < MOST_BYTES) {
                let line = text(&rest[..length]);
                self.start += length + 1;
                return Some(line);
            }
            if rest.len() >= MOST_BYTES || self.ended {
                let length = rest.len().min(MOST_BYTES);
                let line = text(&rest[..length]);
                self.start += length;
                return (length > 0).then_some(line);
            }
            while idle() && !readable() {}
            self.fill();
        }
    }

    fn fill(&mut self) {
        self.bytes.drain(..self.start);
        self.start = 0;
        let mut block = [0; 4096];
        match std::io::stdin().lock().read(&mut block) {
            Ok(0) => self.ended = true,
            Ok(count) => self.bytes.extend_from_slice(&block[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => self.ended = true,
        }
    }
}

/// A line ends at a NUL, too.
fn text(line: &[u8]) -> String {
    let end = line.iter().position(|&byte| byte == 0);
    String::from_utf8_lossy(&line[..end.unwrap_or(line.len())]).into_owned()
}

fn readable() -> bool {
    let input = std::io::stdin();
    let mut entries = [PollFd::from_borrowed_fd(input.as_fd(), PollFlags::IN)];
    !matches!(poll(&mut entries, Some(&GLANCE)), Ok(0))
}
