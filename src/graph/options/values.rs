//! Typed reading of options, with the real tools' words for what does not fit.

use std::num::IntErrorKind;

use serde_json::Value;

use super::OptionTree;
use crate::base::{Error, Result, size};

/// A value as the text that messages show; `None` for null.
pub(crate) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Array(_) | Value::Object(_) => None,
        Value::Bool(true) => Some("on".to_owned()),
        Value::Bool(false) => Some("off".to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
    }
}

/// `on`, `off` and the other words that mean them.
pub fn parse_switch(name: &str, text: &str) -> Result<bool> {
    match text {
        "on" | "yes" | "true" | "y" => Ok(true),
        "off" | "no" | "false" | "n" => Ok(false),
        _ => Err(Error::caller(format!(
            "Parameter '{name}' expects 'on' or 'off'"
        ))),
    }
}

impl OptionTree {
    /// Takes a text.
    pub fn take_text(&mut self, name: &str) -> Option<String> {
        self.take(name).and_then(|value| text_of(&value))
    }

    /// Takes an on/off option.
    pub fn take_switch(&mut self, name: &str) -> Result<Option<bool>> {
        self.take_text(name)
            .map(|text| parse_switch(name, &text))
            .transpose()
    }

    /// Takes a size.
    pub fn take_size(&mut self, name: &str) -> Result<Option<u64>> {
        self.take_text(name)
            .map(|text| size::parse_option(name, &text))
            .transpose()
    }

    /// Takes a plain number.
    pub fn take_number(&mut self, name: &str) -> Result<Option<u64>> {
        self.take_text(name)
            .map(|text| parse_number(name, &text))
            .transpose()
    }

    /// Takes one of `choices`; the position of the one given.
    pub fn take_choice(&mut self, name: &str, choices: &[&str]) -> Result<Option<usize>> {
        let Some(text) = self.take_text(name) else {
            return Ok(None);
        };
        choices
            .iter()
            .position(|choice| *choice == text)
            .map(Some)
            .ok_or_else(|| invalid_value(&text))
    }
}

/// What a driver says about a word that is none of its choices.
pub fn invalid_value(text: &str) -> Error {
    Error::caller(format!("invalid parameter value: {text}"))
}

/// A number without suffix, decimal, octal or hexadecimal; a minus sign counts from the top, as in C.
pub fn parse_number(name: &str, text: &str) -> Result<u64> {
    if let Some(digits) = text
        .strip_prefix('-')
        .filter(|digits| !digits.starts_with('-'))
    {
        return Ok(parse_number(name, digits)?.wrapping_neg());
    }
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None => (text, 10),
    };
    u64::from_str_radix(digits, radix).map_err(|error| match error.kind() {
        IntErrorKind::PosOverflow => Error::caller(format!(
            "Value '{text}' is too large for parameter '{name}'"
        )),
        _ => Error::caller(format!("Parameter '{name}' expects a number")),
    })
}
