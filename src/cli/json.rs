//! JSON as the real tools print it, to the byte: four blanks an indentation, `[\n]` for an empty array, pure ASCII.

use std::fmt::Write;

use serde_json::Value;

/// The value on several lines, without a newline at the end.
pub fn pretty(value: &Value) -> String {
    let mut text = String::new();
    write_value(&mut text, value, Some(0));
    text
}

/// The value on one line: `{"a": 1, "b": [2]}`.
pub fn compact(value: &Value) -> String {
    let mut text = String::new();
    write_value(&mut text, value, None);
    text
}

fn write_value(text: &mut String, value: &Value, indent: Option<usize>) {
    match value {
        Value::String(string) => write_string(text, string),
        Value::Array(items) => {
            let items = items.iter().map(|item| (None, item));
            write_container(text, ['[', ']'], items, indent);
        }
        Value::Object(entries) => {
            let entries = entries
                .iter()
                .map(|(name, value)| (Some(name.as_str()), value));
            write_container(text, ['{', '}'], entries, indent);
        }
        plain => text.push_str(&plain.to_string()),
    }
}

fn write_container<'a>(
    text: &mut String,
    [open, close]: [char; 2],
    entries: impl Iterator<Item = (Option<&'a str>, &'a Value)>,
    indent: Option<usize>,
) {
    let inner = indent.map(|depth| depth + 1);
    text.push(open);
    for (index, (name, value)) in entries.enumerate() {
        if index > 0 {
            text.push_str(if indent.is_some() { "," } else { ", " });
        }
        new_line(text, inner);
        if let Some(name) = name {
            write_string(text, name);
            text.push_str(": ");
        }
        write_value(text, value, inner);
    }
    new_line(text, indent);
    text.push(close);
}

fn new_line(text: &mut String, indent: Option<usize>) {
    if let Some(depth) = indent {
        text.push('\n');
        text.extend(std::iter::repeat_n("    ", depth));
    }
}

fn write_string(text: &mut String, string: &str) {
    text.push('"');
    for character in string.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            ' '..='~' => text.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    // Writing to a String does not fail.
                    let _ = write!(text, "\\u{unit:04X}");
                }
            }
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests;
