//! `-o`: several lists of options that become one tree.

use super::failure::Failure;
use crate::graph::OptionTree;
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

    /// The options. Short forms are not warned about here, unlike everywhere else.
    pub fn parse(&self) -> OptionTree {
        parse_options(&self.text, None).tree
    }
}
