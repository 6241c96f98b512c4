//! The command line as `getopt_long` reads it.
//!
//! Not clap: scripts see getopt's own words (`invalid option -- 'z'`), its clusters (`-Ufraw`), its unique
//! abbreviations (`--start 1M`) and its permutation of options and operands, none of which clap speaks.

use std::collections::VecDeque;

/// One option of a subcommand.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// What [`Given::key`] says when it was given.
    pub key: &'static str,
    /// `-f`.
    pub short: Option<char>,
    /// `--format`.
    pub long: Option<&'static str>,
    /// It takes a value.
    pub value: bool,
    /// The long name is never abbreviated, and makes no abbreviation of another one ambiguous.
    pub whole: bool,
}

impl Choice {
    /// `--quiet` and `-q`.
    pub const fn flag(short: char, long: &'static str) -> Self {
        Self {
            key: long,
            short: Some(short),
            long: Some(long),
            value: false,
            whole: false,
        }
    }

    /// `--format FMT` and `-f FMT`.
    pub const fn value(short: char, long: &'static str) -> Self {
        Self {
            key: long,
            short: Some(short),
            long: Some(long),
            value: true,
            whole: false,
        }
    }

    /// `--image-opts`.
    pub const fn long_flag(long: &'static str) -> Self {
        Self {
            key: long,
            short: None,
            long: Some(long),
            value: false,
            whole: false,
        }
    }

    /// `--output FORMAT`.
    pub const fn long_value(long: &'static str) -> Self {
        Self {
            key: long,
            short: None,
            long: Some(long),
            value: true,
            whole: false,
        }
    }

    /// `-f FMT` without a long name.
    pub const fn short_value(short: char, key: &'static str) -> Self {
        Self {
            key,
            short: Some(short),
            long: None,
            value: true,
            whole: false,
        }
    }

    /// `-p` without a long name.
    pub const fn short_flag(short: char, key: &'static str) -> Self {
        Self {
            key,
            short: Some(short),
            long: None,
            value: false,
            whole: false,
        }
    }

    /// A long name that the help text promises and the real tool's parser does not know: here it is known, but
    /// what the real tool makes of other names stays.
    #[must_use]
    pub const fn promised(mut self) -> Self {
        self.whole = true;
        self
    }

    /// The same option under another key: for a second long name of one option.
    #[must_use]
    pub const fn meaning(mut self, key: &'static str) -> Self {
        self.key = key;
        self
    }
}

/// An option as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// [`Choice::key`].
    pub key: &'static str,
    /// Its value; empty for a flag.
    pub value: String,
}

/// Walks over a command line, one option at a time: what comes first is acted on (or refused) first.
#[derive(Debug)]
pub struct Arguments<'a> {
    choices: &'a [Choice],
    rest: VecDeque<String>,
    operands: Vec<String>,
    /// What is left of a cluster of short options.
    cluster: VecDeque<char>,
    /// The first operand ends the options.
    operands_last: bool,
    negative_numbers: bool,
    /// How many operands stood in front of `--`.
    before_separator: Option<usize>,
}

impl<'a> Arguments<'a> {
    /// Options and operands in any order.
    pub fn permuted(choices: &'a [Choice], arguments: Vec<String>) -> Self {
        Self {
            choices,
            rest: arguments.into(),
            operands: Vec::new(),
            cluster: VecDeque::new(),
            operands_last: false,
            negative_numbers: false,
            before_separator: None,
        }
    }

    /// Options end at the first operand (before a subcommand, and everywhere under `POSIXLY_CORRECT`).
    pub fn operands_last(choices: &'a [Choice], arguments: Vec<String>) -> Self {
        Self {
            operands_last: true,
            ..Self::permuted(choices, arguments)
        }
    }

    /// A word like `-1M` is an operand when another one came before it (`resize FILE -1M`).
    #[must_use]
    pub const fn with_negative_numbers(mut self) -> Self {
        self.negative_numbers = true;
        self
    }

    /// The next option; `None` when only operands are left. An error is getopt's words, without a prefix.
    pub fn advance(&mut self) -> Result<Option<Given>, String> {
        if let Some(letter) = self.cluster.pop_front() {
            return self.short(letter).map(Some);
        }
        while let Some(word) = self.rest.pop_front() {
            if word == "--" {
                self.before_separator = Some(self.operands.len());
                self.operands.extend(self.rest.drain(..));
            } else if let Some(long) = word.strip_prefix("--") {
                return self.long(long).map(Some);
            } else if word.len() > 1 && word.starts_with('-') && !self.is_negative_number(&word) {
                self.cluster = word.chars().skip(1).collect();
                return self.advance();
            } else {
                self.operands.push(word);
                if self.operands_last {
                    self.operands.extend(self.rest.drain(..));
                }
            }
        }
        Ok(None)
    }

    /// How many of the operands stand in front of `--`.
    pub fn operands_before_separator(&self) -> usize {
        self.before_separator.unwrap_or(self.operands.len())
    }

    /// The operands, once [`Arguments::advance`] has said `None`.
    pub fn into_operands(self) -> Vec<String> {
        self.operands
    }

    fn is_negative_number(&self, word: &str) -> bool {
        self.negative_numbers
            && !self.operands.is_empty()
            && word
                .chars()
                .nth(1)
                .is_some_and(|digit| digit.is_ascii_digit())
    }

    fn short(&mut self, letter: char) -> Result<Given, String> {
        let choice = self
            .choices
            .iter()
            .find(|choice| choice.short == Some(letter))
            .ok_or_else(|| format!("invalid option -- '{letter}'"))?;
        let mut value = String::new();
        if choice.value {
            value = if self.cluster.is_empty() {
                self.rest
                    .pop_front()
                    .ok_or_else(|| format!("option requires an argument -- '{letter}'"))?
            } else {
                self.cluster.drain(..).collect()
            };
        }
        Ok(Given {
            key: choice.key,
            value,
        })
    }

    fn long(&mut self, word: &str) -> Result<Given, String> {
        let (name, attached) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        let choice = self.find_long(word, name)?;
        let full = choice.long.unwrap_or(name);
        let value = match (choice.value, attached) {
            (false, Some(_)) => {
                return Err(format!("option '--{full}' doesn't allow an argument"));
            }
            (false, None) => String::new(),
            (true, Some(value)) => value.to_owned(),
            (true, None) => self
                .rest
                .pop_front()
                .ok_or_else(|| format!("option '--{full}' requires an argument"))?,
        };
        Ok(Given {
            key: choice.key,
            value,
        })
    }

    /// The option that `name` is, or is an unambiguous beginning of.
    fn find_long(&self, word: &str, name: &str) -> Result<Choice, String> {
        let named = |choice: &&Choice, test: fn(&str, &str) -> bool| {
            choice.long.is_some_and(|long| test(long, name))
        };
        if let Some(exact) = self
            .choices
            .iter()
            .find(|choice| named(choice, |long, name| long == name))
        {
            return Ok(*exact);
        }
        let candidates: Vec<&Choice> = self
            .choices
            .iter()
            .filter(|choice| !choice.whole && named(choice, |long, name| long.starts_with(name)))
            .collect();
        match candidates.as_slice() {
            [] => Err(format!("unrecognized option '--{word}'")),
            [first, others @ ..] if others.iter().all(|other| other.key == first.key) => {
                Ok(**first)
            }
            several => {
                let names: Vec<String> = several
                    .iter()
                    .filter_map(|choice| choice.long)
                    .map(|long| format!("'--{long}'"))
                    .collect();
                Err(format!(
                    "option '--{word}' is ambiguous; possibilities: {}",
                    names.join(" ")
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests;
