//! Sizes as people write and read them: `64M`, `1.5G`, `0x200`; `64 MiB`, `1.5 GiB`.

use super::error::{Error, Kind, errno};
use super::limits::MAX_NODE_BYTES;

/// Why a text is not a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// Not a number, or followed by something that is not a suffix.
    #[error("not a size")]
    Malformed,
    /// A number, but negative or past 2^64-1.
    #[error("out of range")]
    OutOfRange,
}

/// Parses a size: decimal with an optional fraction and suffix (`b k M G T P E`, either case), or plain hexadecimal.
///
/// Leading blanks and one `+` are skipped. A fraction needs a unit above bytes and is rounded to the nearest byte.
pub fn parse(text: &str) -> Result<u64, SizeError> {
    let trimmed = text.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
    if let Some(digits) = trimmed.strip_prefix('-') {
        return if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            Err(SizeError::OutOfRange)
        } else {
            Err(SizeError::Malformed)
        };
    }
    let unsigned = trimmed.strip_prefix('+').unwrap_or(trimmed);
    match unsigned
        .strip_prefix("0x")
        .or_else(|| unsigned.strip_prefix("0X"))
    {
        Some(digits) => parse_hexadecimal(digits),
        None => parse_decimal(unsigned),
    }
}

fn parse_hexadecimal(digits: &str) -> Result<u64, SizeError> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(SizeError::Malformed);
    }
    u64::from_str_radix(digits, 16).map_err(|_| SizeError::OutOfRange)
}

fn parse_decimal(text: &str) -> Result<u64, SizeError> {
    let (number, unit) = split_suffix(text)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return Err(SizeError::Malformed);
    }
    let whole_units: u64 = if whole.is_empty() {
        0
    } else {
        match whole.parse() {
            Ok(value) => value,
            // A plain number past the range says so; with a fraction or suffix the same digits are read as a
            // number with garbage behind it.
            Err(_) if whole.len() == text.len() => return Err(SizeError::OutOfRange),
            Err(_) => return Err(SizeError::Malformed),
        }
    };
    let fraction: f64 = if fraction.is_empty() {
        0.0
    } else {
        format!("0.{fraction}")
            .parse()
            .map_err(|_| SizeError::Malformed)?
    };
    if unit == 1 && fraction != 0.0 {
        return Err(SizeError::Malformed);
    }
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the unit is a power of two; the product lies between 0 and 2^60"
    )]
    let fraction_bytes = fraction.mul_add(unit as f64, 0.5) as u64;
    whole_units
        .checked_mul(unit)
        .and_then(|bytes| bytes.checked_add(fraction_bytes))
        .ok_or(SizeError::OutOfRange)
}

fn split_suffix(text: &str) -> Result<(&str, u64), SizeError> {
    let last = text.bytes().next_back().ok_or(SizeError::Malformed)?;
    if last.is_ascii_digit() || last == b'.' {
        return Ok((text, 1));
    }
    let shift = match last.to_ascii_lowercase() {
        b'b' => 0,
        b'k' => 10,
        b'm' => 20,
        b'g' => 30,
        b't' => 40,
        b'p' => 50,
        b'e' => 60,
        _ => return Err(SizeError::Malformed),
    };
    Ok((&text[..text.len() - 1], 1 << shift))
}

/// A size argument of `qemu-img` (`cvtnum`), with its words: `what` names it (`image size`, `bs` …).
pub fn parse_argument(what: &str, text: &str) -> super::Result<u64> {
    parse_argument_within(what, text, 0, i64::MAX.cast_unsigned())
}

/// Like [`parse_argument`], with bounds.
pub fn parse_argument_within(
    what: &str,
    text: &str,
    minimum: u64,
    maximum: u64,
) -> super::Result<u64> {
    match parse(text) {
        Ok(value) if (minimum..=maximum).contains(&value) => Ok(value),
        Err(SizeError::Malformed) => Err(Error::caller(format!(
            "Invalid {what} specified: '{text}'."
        ))),
        Ok(_) | Err(SizeError::OutOfRange) => Err(Error::caller(format!(
            "Invalid {what} specified. Must be between {minimum} and {maximum}."
        ))
        .with_errno(errno::ERANGE)),
    }
}

/// A plain number of `qemu-img`, without fraction or suffix (`-m`, `-c` …), with its words and bounds.
pub fn parse_count_within(
    what: &str,
    text: &str,
    minimum: u64,
    maximum: u64,
) -> super::Result<u64> {
    let digits = text.trim_start().trim_start_matches(['+', '-']);
    let malformed = || Error::caller(format!("Invalid {what} specified: '{text}'."));
    let (digits, radix) = match digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
    {
        Some(digits) => (digits, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (&digits[1..], 8),
        None => (digits, 10),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(malformed());
    }
    let value = u64::from_str_radix(digits, radix).unwrap_or(u64::MAX);
    let negative = text.trim_start().starts_with('-') && value != 0;
    if negative || !(minimum..=maximum).contains(&value) {
        return Err(Error::caller(format!(
            "Invalid {what} specified. Must be between {minimum} and {maximum}."
        ))
        .with_errno(errno::ERANGE));
    }
    Ok(value)
}

/// A size given as an option (`-o size=`, `resize`), with the option parser's words and hints.
pub fn parse_option(name: &str, text: &str) -> super::Result<u64> {
    parse(text).map_err(|error| match error {
        SizeError::OutOfRange => Error::new(
            Kind::Caller,
            format!("Value '{text}' is out of range for parameter '{name}'"),
        ),
        SizeError::Malformed => Error::new(
            Kind::Caller,
            format!("Parameter '{name}' expects a non-negative number below 2^64"),
        )
        .with_hint("Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-")
        .with_hint("and exabytes, respectively."),
    })
}

/// A number argument of a `qemu-io` command, with its words (`Parsing error: …`).
pub fn parse_io_argument(text: &str) -> super::Result<u64> {
    match parse(text) {
        Ok(value) if i64::try_from(value).is_ok() => Ok(value),
        Err(SizeError::Malformed) => Err(Error::caller(format!(
            "Parsing error: non-numeric argument, or extraneous/unrecognized suffix -- {text}"
        ))),
        Ok(_) | Err(SizeError::OutOfRange) => Err(Error::caller(format!(
            "Parsing error: argument too large -- {text}"
        ))),
    }
}

/// A size for people: three significant digits and the unit, as `info` prints it (`64 MiB`, `1e+03 KiB`).
pub fn human(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    #[expect(clippy::cast_precision_loss, reason = "three digits are printed")]
    let mut value = bytes as f64;
    let mut unit = 0;
    // The next unit starts at 1000, not at 1024, so that at most three digits stand before the point.
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{} {}", three_digits(value), UNITS[unit])
}

/// C's `%0.3g` for values from 0 up to below 1024.
fn three_digits(value: f64) -> String {
    if value >= 999.5 {
        return format!("{value:.0e}")
            .split_once('e')
            .map_or_else(String::new, |(mantissa, exponent)| {
                format!("{mantissa}e+{exponent:0>2}")
            });
    }
    let decimals = if value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else if value >= 0.9995 {
        2
    } else {
        3
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A number as options take them: decimal, `0x…`, or octal with a leading zero; blanks and a sign may stand in front.
pub fn signed_number(value: &str) -> Option<i64> {
    let trimmed = value.trim_ascii_start();
    let (negative, digits) = match trimmed.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let hexadecimal = digits.strip_prefix("0x").or(digits.strip_prefix("0X"));
    let number = match hexadecimal {
        Some(rest) => u64::from_str_radix(rest, 16),
        None if digits.len() > 1 && digits.starts_with('0') => u64::from_str_radix(digits, 8),
        None => digits.parse(),
    };
    let number = i128::from(number.ok()?);
    i64::try_from(if negative { -number } else { number }).ok()
}

/// The fact behind the words of [`check_node_length`], for callers that would explain "File too large" themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("longer than any disk")]
pub struct LongerThanAnyDisk;

/// Refuses a length that no disk can have, in the real tool's words.
pub fn check_node_length(length: u64) -> Result<(), Error> {
    if length > MAX_NODE_BYTES {
        let words = format!("offset({length}) exceeds maximum({MAX_NODE_BYTES})");
        return Err(Error::caller(words)
            .with_errno(errno::EFBIG)
            .with_source(LongerThanAnyDisk));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
