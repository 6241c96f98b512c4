//! JSON as the real tools read it: single quotes allowed, duplicate keys refused, their words on every mistake.
//!
//! Not `serde_json`: an image's backing name may hold this text, the drop-in tools need the words, and nesting
//! needs a cap.

use serde_json::{Map, Number, Value};

use crate::base::{Error, Result};

/// QEMU: nesting of arrays and objects.
const MAX_NESTING: usize = 1024;
/// ours: bytes of one text (the real tools count tokens).
const MAX_BYTES: usize = 64 << 20;

/// Parses exactly one JSON value.
pub fn parse(text: &str) -> Result<Value> {
    if text.len() > MAX_BYTES {
        return Err(Error::caller("JSON token size limit exceeded"));
    }
    let mut parser = Parser { rest: text };
    parser.skip_blanks();
    if parser.rest.is_empty() {
        return Err(Error::caller("Expecting a JSON value"));
    }
    let value = parser.value(0)?;
    parser.skip_blanks();
    if parser.rest.is_empty() {
        Ok(value)
    } else {
        Err(Error::caller("Expecting at most one JSON value"))
    }
}

fn parse_error(what: &str) -> Error {
    Error::caller(format!("JSON parse error, {what}"))
}

fn stray(token: &str) -> Error {
    parse_error(&format!("stray '{token}'"))
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    /// The next character that is no blank; the text must not end here.
    fn required(&mut self) -> Result<char> {
        self.skip_blanks();
        self.peek().ok_or_else(|| parse_error("premature EOI"))
    }

    fn value(&mut self, depth: usize) -> Result<Value> {
        if depth > MAX_NESTING {
            return Err(Error::caller("JSON nesting depth limit exceeded"));
        }
        match self.required()? {
            '{' => self.object(depth),
            '[' => self.array(depth),
            quote @ ('"' | '\'') => self.string(quote).map(Value::String),
            '-' | '0'..='9' => self.number(),
            'a'..='z' => self.keyword(),
            ']' | '}' | ':' | ',' => Err(parse_error("expecting value")),
            other => Err(stray(&other.to_string())),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value> {
        self.bump();
        let mut members = Map::new();
        if self.required()? == '}' {
            self.bump();
            return Ok(Value::Object(members));
        }
        loop {
            let Value::String(key) = self.value(depth + 1)? else {
                return Err(parse_error("key is not a string in object"));
            };
            if self.required()? != ':' {
                return Err(parse_error("missing : in object pair"));
            }
            self.bump();
            let value = self.value(depth + 1)?;
            if members.insert(key, value).is_some() {
                return Err(parse_error("duplicate key"));
            }
            match self.required()? {
                ',' => {
                    self.bump();
                }
                '}' => {
                    self.bump();
                    return Ok(Value::Object(members));
                }
                _ => return Err(parse_error("expected separator in dict")),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value> {
        self.bump();
        let mut items = Vec::new();
        if self.required()? == ']' {
            self.bump();
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            match self.required()? {
                ',' => {
                    self.bump();
                }
                ']' => {
                    self.bump();
                    return Ok(Value::Array(items));
                }
                _ => return Err(parse_error("expected separator in list")),
            }
        }
    }

    fn string(&mut self, quote: char) -> Result<String> {
        let token = self.rest;
        self.bump();
        let mut text = String::new();
        loop {
            match self.bump() {
                None => return Err(stray(token)),
                Some(end) if end == quote => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                Some(control) if u32::from(control) < 0x20 => {
                    let read = token.len() - self.rest.len();
                    return Err(stray(token.get(..read).unwrap_or(token)));
                }
                Some(other) => text.push(other),
            }
        }
    }

    fn escape(&mut self) -> Result<char> {
        match self.bump() {
            Some(same @ ('"' | '\'' | '\\' | '/')) => Ok(same),
            Some('b') => Ok('\u{8}'),
            Some('f') => Ok('\u{c}'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('u') => self.unicode_escape(),
            None | Some(_) => Err(parse_error("invalid escape sequence in string")),
        }
    }

    fn unicode_escape(&mut self) -> Result<char> {
        let token = self.rest;
        let invalid = || {
            let shown: String = token.chars().take(4).collect();
            parse_error(&format!("\\u{shown} is not a valid Unicode character"))
        };
        let first = self.four_digits().ok_or_else(invalid)?;
        let code = if (0xd800..0xdc00).contains(&first) {
            self.rest = self.rest.strip_prefix("\\u").ok_or_else(invalid)?;
            let second = self.four_digits().ok_or_else(invalid)?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(invalid());
            }
            0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        char::from_u32(code).ok_or_else(invalid)
    }

    fn four_digits(&mut self) -> Option<u32> {
        let mut code = 0;
        for _ in 0..4 {
            code = code * 16 + self.bump()?.to_digit(16)?;
        }
        Some(code)
    }

    fn number(&mut self) -> Result<Value> {
        let length = number_length(self.rest)?;
        let (token, rest) = self.rest.split_at(length);
        let number: Number = serde_json::from_str(token).map_err(|_| stray(token))?;
        self.rest = rest;
        Ok(Value::Number(number))
    }

    fn keyword(&mut self) -> Result<Value> {
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_lowercase())
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        let value = match word {
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => return Err(parse_error(&format!("invalid keyword '{word}'"))),
        };
        self.rest = rest;
        Ok(value)
    }
}

/// Bytes of the number at the start of `text`; what makes it malformed is shown with what came before.
fn number_length(text: &str) -> Result<usize> {
    let bytes = text.as_bytes();
    let digits_from = |start: usize| {
        bytes[start..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let malformed = |end: usize| {
        let token: String = text.chars().take(end + 1).collect();
        stray(token.trim_end())
    };
    let start = usize::from(text.starts_with('-'));
    let mut end = start + digits_from(start);
    if end == start || (end > start + 1 && bytes[start] == b'0') {
        return Err(malformed(start + usize::from(end > start)));
    }
    if bytes.get(end) == Some(&b'.') {
        let fraction = digits_from(end + 1);
        if fraction == 0 {
            return Err(malformed(end + 1));
        }
        end += 1 + fraction;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits_from(end + 1 + sign);
        if exponent == 0 {
            return Err(malformed(end + 1 + sign));
        }
        end += 1 + sign + exponent;
    }
    Ok(end)
}

#[cfg(test)]
mod tests;
