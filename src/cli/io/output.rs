//! Standard output with the buffering that C programs have when it is not a terminal.
//!
//! Scripts record both streams in one file: what of the output comes before an error line depends on when the
//! buffer is written. `abort` loses what is still in it.

use std::io::{IsTerminal, Write};

/// What `stdio` takes for pipes and files here.
const CAPACITY: usize = 4096;

/// Buffered standard output.
pub(super) struct Output<W: Write> {
    sink: W,
    buffer: Vec<u8>,
    each_line: bool,
}

/// The process's own.
pub(super) type Stdout = Output<std::io::Stdout>;

impl Stdout {
    pub(super) fn standard() -> Self {
        let sink = std::io::stdout();
        let each_line = sink.is_terminal();
        Self::new(sink, each_line)
    }
}

impl<W: Write> Output<W> {
    pub(super) const fn new(sink: W, each_line: bool) -> Self {
        Self {
            sink,
            buffer: Vec::new(),
            each_line,
        }
    }

    /// Writes what is in the buffer. A reader that went away ends the output, not the work.
    pub(super) fn flush(&mut self) {
        let _ = self.sink.write_all(&self.buffer);
        let _ = self.sink.flush();
        self.buffer.clear();
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
            let _ = self.sink.write_all(blocks);
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
