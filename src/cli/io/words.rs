//! Words of a command line: splitting, options as `getopt` reads them, numbers.

use super::command::Complaint;
use crate::base::size;

/// Splits at blanks; there is no quoting, and other white space belongs to words.
pub(super) fn split(line: &str) -> Vec<&str> {
    line.split(' ').filter(|word| !word.is_empty()).collect()
}

/// Short options and operands in any order.
pub(super) struct Options<'a> {
    /// Letters, each followed by a colon when it takes a value.
    letters: &'static str,
    words: &'a [&'a str],
    next: usize,
    cluster: &'a str,
    /// What is not an option.
    pub(super) operands: Vec<&'a str>,
}

impl<'a> Options<'a> {
    /// `words[0]` is the command itself.
    pub(super) const fn new(words: &'a [&'a str], letters: &'static str) -> Self {
        Self {
            letters,
            words,
            next: 1,
            cluster: "",
            operands: Vec::new(),
        }
    }

    fn complain(&self, words: &str, letter: char) -> Complaint {
        let command = self.words.first().copied().unwrap_or_default();
        Complaint::Grammar(format!("{command}: {words} -- '{letter}'"))
    }

    /// The next option with its value ("" when it takes none).
    pub(super) fn advance(&mut self) -> Result<Option<(char, &'a str)>, Complaint> {
        while self.cluster.is_empty() {
            let Some(&word) = self.words.get(self.next) else {
                return Ok(None);
            };
            self.next += 1;
            if word == "--" {
                self.operands
                    .extend(self.words.get(self.next..).unwrap_or_default());
                self.next = self.words.len();
            } else if word.len() > 1 && word.starts_with('-') {
                self.cluster = &word[1..];
            } else {
                self.operands.push(word);
            }
        }
        let mut letters = self.cluster.chars();
        let letter = letters.next().unwrap_or_default();
        self.cluster = letters.as_str();
        let known = self.letters.find(letter).filter(|_| letter != ':');
        let Some(place) = known else {
            return Err(self.complain("invalid option", letter));
        };
        if self.letters.as_bytes().get(place + 1) != Some(&b':') {
            return Ok(Some((letter, "")));
        }
        let mut value = std::mem::take(&mut self.cluster);
        if value.is_empty() {
            let Some(&word) = self.words.get(self.next) else {
                return Err(self.complain("option requires an argument", letter));
            };
            self.next += 1;
            value = word;
        }
        Ok(Some((letter, value)))
    }
}

/// A size or an offset.
pub(super) fn number(text: &str) -> Result<u64, Complaint> {
    size::parse_io_argument(text).map_err(|error| Complaint::Output(error.to_string()))
}

/// A C integer with its prefix: decimal, `0x`, or octal behind a 0.
pub(super) fn integer(text: &str) -> Option<u64> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (digits, radix) = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(hexadecimal) => (hexadecimal, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (&digits[1..], 8),
        None => (digits, 10),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    Some(u64::from_str_radix(digits, radix).unwrap_or(u64::MAX))
}

/// `-P`.
pub(super) fn pattern(text: &str) -> Result<u8, Complaint> {
    integer(text)
        .and_then(|value| u8::try_from(value).ok())
        .ok_or_else(|| Complaint::Output(format!("{text} is not a valid pattern byte")))
}

#[cfg(test)]
mod tests;
