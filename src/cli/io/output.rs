//! Standard output with the buffering that C programs have when it is not a terminal.
//!
//! Scripts record both streams in one file: what of the output comes before an error line depends on when the
//! buffer is written. `abort` loses what is still in it.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;

/// What `stdio` takes for pipes and files here.
const CAPACITY: usize = 4096;

/// Where the bytes go in the end.
pub(super) trait Sink {
    /// Writes all of it; a reader that went away ends the output, not the work.
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Option<File> {
    fn put(&mut self, bytes: &[u8]) {
        if let Some(file) = self {
            let _ = file.write_all(bytes);
        }
    }
}

/// Buffered standard output.
pub(super) struct Output<W: Sink> {
    sink: W,
    buffer: Vec<u8>,
    each_line: bool,
}

/// The process's own.
pub(super) type Stdout = Output<Option<File>>;

impl Stdout {
    pub(super) fn standard() -> Self {
        let stdout = std::io::stdout();
        let each_line = stdout.is_terminal();
        // Not std's own handle, which has a buffer with rules of its own.
        let sink = stdout.as_fd().try_clone_to_owned().ok().map(File::from);
        Self::new(sink, each_line)
    }
}

impl<W: Sink> Output<W> {
    pub(super) const fn new(sink: W, each_line: bool) -> Self {
        Self {
            sink,
            buffer: Vec::new(),
            each_line,
        }
    }

    /// Writes what is in the buffer.
    pub(super) fn flush(&mut self) {
        if !self.buffer.is_empty() {
            self.sink.put(&self.buffer);
            self.buffer.clear();
        }
    }

    pub(super) fn print(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let room = CAPACITY - self.buffer.len();
        if bytes.len() <= room {
            self.buffer.extend_from_slice(bytes);
        } else {
            // The buffer is filled and written, then whole blocks go past it.
            let (fits, rest) = bytes.split_at(room);
            self.buffer.extend_from_slice(fits);
            self.flush();
            let (blocks, rest) = rest.split_at(rest.len() - rest.len() % CAPACITY);
            if !blocks.is_empty() {
                self.sink.put(blocks);
            }
            self.buffer.extend_from_slice(rest);
        }
        if self.each_line && bytes.contains(&b'\n') {
            self.flush();
        }
    }

    pub(super) fn line(&mut self, text: &str) {
        self.print(text);
        self.print("\n");
    }
}

#[cfg(test)]
mod tests;
