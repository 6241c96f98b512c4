//! `-o`: several lists of options that become one tree.

use super::failure::Failure;
use super::session::Session;
use crate::graph::OptionTree;
use crate::graph::create::tables::{create_options, format_options, help_lines};
use crate::graph::options::parse_options;

/// What `-o` gave so far.
#[derive(Clone, Debug, Default)]
pub struct FormatOptions {
    text: String,
}

impl FormatOptions {
    /// One more `-o`.
    pub fn add(&mut self, list: &str) -> Result<(), Failure> {
        let commas_at_end = list.len() - list.trim_end_matches(',').len();
        // A lone comma at the end would glue the next list to a name that is missing.
        if list.is_empty() || list.starts_with(',') || commas_at_end % 2 == 1 {
            return Err(Failure::words(format!("Invalid option list: {list}")));
        }
        if !self.text.is_empty() {
            self.text.push(',');
        }
        self.text.push_str(list);
        Ok(())
    }

    /// True when `-o` was not given.
    pub const fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// All lists as one.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// True when the list asks for help.
    pub fn asks_for_help(&self) -> bool {
        parse_options(&self.text, None).help
    }

    /// The options; `None` when the list asks for help. Deprecated forms are warned about.
    pub fn parse(&self, session: &Session) -> Option<OptionTree> {
        let parsed = parse_options(&self.text, None);
        if parsed.help {
            return None;
        }
        for warning in &parsed.warnings {
            session.say(warning);
        }
        Some(parsed.tree)
    }
}

/// `-o help`: the format's options, with a target also those of the file below it.
pub fn help(format: &str, with_target: bool) -> Result<String, Failure> {
    let unknown = || Failure::words(format!("Unknown file format '{format}'"));
    if with_target {
        let lines = help_lines(&create_options(format).ok_or_else(unknown)?);
        return Ok(format!("Supported options:\n{}\n", lines.join("\n")));
    }
    let lines = help_lines(format_options(format).ok_or_else(unknown)?);
    Ok(format!(
        "Supported {format} options:\n{}\n\n\
         The protocol level may support further options.\n\
         Specify the target filename to include those options.\n",
        lines.join("\n")
    ))
}
