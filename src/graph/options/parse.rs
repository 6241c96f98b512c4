//! The text form `a=b,c=d`: commas doubled inside values, switches without a value.

use super::OptionTree;

/// Options read from a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// The options.
    pub tree: OptionTree,
    /// Warnings, one for each switch without a value; each is followed by its own hint line.
    pub warnings: Vec<String>,
    /// `help` or `?` was among them.
    pub help: bool,
    /// The first `id`: it names the list itself.
    pub identifier: Option<String>,
}

/// Parses `text`; a first value without a name belongs to `implied`.
///
/// A name without a value means `on`, with `no` in front of it `off`; both are deprecated and warned about.
pub fn parse_options(text: &str, implied: Option<&str>) -> Parsed {
    let mut parsed = Parsed::default();
    let mut rest = text;
    let mut first = true;
    while !rest.is_empty() {
        let name_length = rest.find(['=', ',']).unwrap_or(rest.len());
        let has_value = rest[name_length..].starts_with('=');
        if first
            && !has_value
            && let Some(implied) = implied
        {
            let (value, after) = split_value(rest);
            parsed.tree.set(implied, value);
            rest = after;
        } else if has_value {
            let (name, value) = (&rest[..name_length], &rest[name_length + 1..]);
            let (value, after) = split_value(value);
            if name == "id" && parsed.identifier.is_none() {
                parsed.identifier = Some(value.clone());
            }
            parsed.tree.set(name, value);
            rest = after;
        } else {
            let name = &rest[..name_length];
            parsed.switch(name);
            rest = rest[name_length..].strip_prefix(',').unwrap_or("");
        }
        first = false;
    }
    parsed
}

impl Parsed {
    fn switch(&mut self, name: &str) {
        if name == "help" || name == "?" {
            self.help = true;
            self.tree.set(name, "on");
            return;
        }
        let (option, value) = match name.strip_prefix("no") {
            Some(option) if !option.is_empty() => (option, "off"),
            _ => (name, "on"),
        };
        self.warnings.push(format!(
            "warning: short-form boolean option '{name}' deprecated\nPlease use {option}={value} instead"
        ));
        self.tree.set(option, value);
    }
}

/// The value up to the next single comma, doubled commas halved, and what follows that comma.
pub(super) fn split_value(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let Some(comma) = rest.find(',') else {
            value.push_str(rest);
            return (value, "");
        };
        value.push_str(&rest[..comma]);
        rest = &rest[comma + 1..];
        match rest.strip_prefix(',') {
            Some(after) => {
                value.push(',');
                rest = after;
            }
            None => return (value, rest),
        }
    }
}
