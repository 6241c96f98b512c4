//! Standard output with the buffering that C programs have when it is not a terminal.
//!
//! Scripts record both streams in one file: what of the output comes before an error line depends on when the
//! buffer is written. `abort` loses what is still in it.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;

use crate::node::Notices;

/// What `stdio` takes for pipes and files here.
const CAPACITY: usize = 4096;

/// Where the bytes go in the end.
pub(in crate::cli) trait Sink {
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
pub(in crate::cli) struct Output<W: Sink> {
    sink: W,
    buffer: Vec<u8>,
    each_line: bool,
    /// A line that was begun ends before whatever is printed next.
    line_is_open: bool,
    /// What other threads have said since.
    said: Arc<Mutex<String>>,
}

/// The one that `qemu-img` prints to; its jobs report from several threads.
static STANDARD: LazyLock<Mutex<Stdout>> = LazyLock::new(|| Mutex::new(Stdout::standard()));

/// Prints to the process's standard output.
pub(in crate::cli) fn print(text: &str) {
    STANDARD.lock().print(text);
}

/// Prints, and nothing stays in the buffer.
pub(in crate::cli) fn print_now(text: &str) {
    let mut output = STANDARD.lock();
    output.print(text);
    output.flush();
}

/// Prints to standard error; where nobody can read it, the work goes on.
pub(in crate::cli) fn complain(words: std::fmt::Arguments<'_>) {
    let _ = std::io::stderr().write_all(words.to_string().as_bytes());
}

/// The line that progress was shown in ends when something is printed next, at the latest when the program does: after
/// what went wrong.
pub(in crate::cli) fn end_line_later() {
    STANDARD.lock().line_is_open = true;
}

/// The process's own.
pub(in crate::cli) type Stdout = Output<Option<File>>;

impl Stdout {
    pub(in crate::cli) fn standard() -> Self {
        let stdout = std::io::stdout();
        let each_line = stdout.is_terminal();
        // Not std's own handle, which has a buffer with rules of its own.
        let sink = stdout.as_fd().try_clone_to_owned().ok().map(File::from);
        Self::new(sink, each_line)
    }
}

impl<W: Sink> Output<W> {
    pub(in crate::cli) fn new(sink: W, each_line: bool) -> Self {
        Self {
            sink,
            buffer: Vec::new(),
            each_line,
            line_is_open: false,
            said: Arc::default(),
        }
    }

    /// Lines that any thread says; they appear before whatever is printed next.
    pub(in crate::cli) fn notices(&self) -> Notices {
        let said = Arc::clone(&self.said);
        Notices::to(move |line| {
            let mut said = said.lock();
            said.push_str(line);
            said.push('\n');
        })
    }

    /// Writes everything.
    pub(in crate::cli) fn flush(&mut self) {
        self.print("");
        self.write_buffer();
    }

    /// Writes what is in the buffer.
    fn write_buffer(&mut self) {
        if !self.buffer.is_empty() {
            self.sink.put(&self.buffer);
            self.buffer.clear();
        }
    }

    pub(in crate::cli) fn print(&mut self, text: &str) {
        if std::mem::take(&mut self.line_is_open) {
            self.add("\n");
        }
        let said = std::mem::take(&mut *self.said.lock());
        if !said.is_empty() {
            self.add(&said);
        }
        self.add(text);
    }

    fn add(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let room = CAPACITY - self.buffer.len();
        if bytes.len() <= room {
            self.buffer.extend_from_slice(bytes);
        } else {
            // The buffer is filled and written, then whole blocks go past it.
            let (fits, rest) = bytes.split_at(room);
            self.buffer.extend_from_slice(fits);
            self.write_buffer();
            let (blocks, rest) = rest.split_at(rest.len() - rest.len() % CAPACITY);
            if !blocks.is_empty() {
                self.sink.put(blocks);
            }
            self.buffer.extend_from_slice(rest);
        }
        if self.each_line && bytes.contains(&b'\n') {
            self.write_buffer();
        }
    }

    pub(in crate::cli) fn line(&mut self, text: &str) {
        self.print(text);
        self.print("\n");
    }
}

#[cfg(test)]
mod tests;
