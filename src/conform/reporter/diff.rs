//! A unified diff, coloured when asked to.

use anstyle::{AnsiColor, Style};
use similar::{ChangeTag, TextDiff};

/// Colours, or none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Palette {
    /// Whether to colour at all.
    pub colored: bool,
}

impl Palette {
    /// `text` in `color`.
    pub fn paint(self, color: AnsiColor, text: &str) -> String {
        if self.colored {
            let style = Style::new().fg_color(Some(color.into()));
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}

/// From `expected` to `actual`, with three lines of context.
pub fn unified(expected: &str, actual: &str, from: &str, to: &str, palette: Palette) -> String {
    use std::fmt::Write as _;
    let diff = TextDiff::from_lines(expected, actual);
    let mut text = String::new();
    for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
        if text.is_empty() {
            let _ = write!(text, "--- {from}\n+++ {to}\n");
        }
        let header = hunk.header().to_string();
        let _ = writeln!(
            text,
            "{}",
            palette.paint(AnsiColor::Cyan, header.trim_end())
        );
        for change in hunk.iter_changes() {
            let (sign, color) = match change.tag() {
                ChangeTag::Delete => ('-', Some(AnsiColor::Red)),
                ChangeTag::Insert => ('+', Some(AnsiColor::Green)),
                ChangeTag::Equal => (' ', None),
            };
            // A terminal must not act on what a tool under test printed.
            let value = change.value();
            let line: String = value
                .strip_suffix('\n')
                .unwrap_or(value)
                .chars()
                .map(visible)
                .collect();
            let line = format!("{sign}{line}");
            let line = color.map_or(line.clone(), |color| palette.paint(color, &line));
            let _ = writeln!(text, "{line}");
            if change.missing_newline() {
                let _ = writeln!(text, "\\ No newline at end of file");
            }
        }
    }
    text
}

fn visible(character: char) -> char {
    match u8::try_from(character) {
        Ok(code @ (0..=8 | 11..=31)) => char::from_u32(0x2400 + u32::from(code)).unwrap_or('?'),
        Ok(127) => '\u{2421}',
        _ => character,
    }
}

#[cfg(test)]
mod tests;
