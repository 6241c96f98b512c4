//! For programs: an event a line.

use std::io::{self, Write};

use crate::conform::event::Event;

/// Writes each event as it comes.
#[derive(Debug)]
pub struct JsonLinesReporter<W>(pub W);

impl<W: Write> JsonLinesReporter<W> {
    /// Tells one event.
    pub fn observe(&mut self, event: &Event) -> io::Result<()> {
        serde_json::to_writer(&mut self.0, event)?;
        self.0.write_all(b"\n")?;
        self.0.flush()
    }
}

#[cfg(test)]
mod tests;
