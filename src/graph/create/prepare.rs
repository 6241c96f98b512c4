//! From what the command line gave to a complete, typed list of options.

use serde_json::Value;

use super::tables::{OptionSpec, ValueKind, create_options};
use super::{CreateRequest, Prepared};
use crate::base::{Error, Result, size};
use crate::graph::open::{self, ImageArgument, OpenFlags};
use crate::graph::options::values::{parse_switch, text_of};
use crate::graph::{Environment, OptionTree};

/// Checks and completes `request`; nothing is written yet.
pub(super) fn prepare(request: &CreateRequest, environment: &Environment) -> Result<Prepared> {
    let format = request.format.as_str();
    let options = create_options(format).ok_or_else(|| unknown_format(format))?;
    let path = open::creatable_path(&request.filename)?;
    let mut given = request.options.clone();
    // An identifier of the list itself: every list may have one, nobody asks for it.
    given.take("id");
    let mut values = Values::parse(&options, &given)?;
    values.take_size(request.size)?;
    for (name, value, what) in [
        ("backing_file", &request.backing_file, "Backing file"),
        (
            "backing_fmt",
            &request.backing_format,
            "Backing file format",
        ),
    ] {
        let Some(value) = value else { continue };
        if !options.iter().any(|option| option.name == name) {
            return Err(Error::caller(format!(
                "{what} not supported for file format '{format}'"
            )));
        }
        values.set(name, value.clone());
    }
    check_backing(&mut values, request, environment)?;
    if values.text("size").is_none() {
        return Err(Error::caller("Image creation needs a size parameter"));
    }
    let header_path = match &request.detached_header {
        Some(_) if format != "luks" => {
            return Err(Error::caller(format!(
                "Format '{format}' has no detached header"
            )));
        }
        Some(header) => Some(open::creatable_path(header)?),
        None => None,
    };
    if header_path.as_ref() == Some(&path) {
        return Err(Error::caller("The header needs a file of its own"));
    }
    let encrypted = format == "luks"
        || values.text("encrypt.format").is_some()
        || values.text("encryption").is_some_and(|text| text != "off");
    if request.encrypted_zeros && !encrypted {
        return Err(Error::caller("Encrypted zeros need an encrypted image"));
    }
    Ok(Prepared {
        format: format.to_owned(),
        filename: request.filename.clone(),
        path,
        options: values.complete(&options),
        header_path,
        encrypted_zeros: request.encrypted_zeros,
    })
}

/// Formats that the real tools create and that are not built here: as unknown as any other word.
const NOT_BUILT: [&str; 6] = ["parallels", "qed", "vdi", "vhdx", "vmdk", "vpc"];

/// True for formats that the real tools know, and can't create either.
pub(super) fn never_created(format: &str) -> bool {
    open::is_known_driver(format)
        && !NOT_BUILT.contains(&format)
        && create_options(format).is_none()
}

/// What `create` and its like say about a format that they can't make.
pub(super) fn unknown_format(format: &str) -> Error {
    if never_created(format) {
        Error::unsupported(format!(
            "Format driver '{format}' does not support image creation"
        ))
    } else {
        Error::caller(format!("Unknown file format '{format}'"))
    }
}

/// Sizes and numbers are shown as signed 64-bit numbers, as the real tools do.
fn signed(value: u64) -> String {
    value.cast_signed().to_string()
}

/// The values as texts, checked against their kinds.
struct Values(Vec<(String, String)>);

impl Values {
    fn parse(options: &[OptionSpec], given: &OptionTree) -> Result<Self> {
        let mut values = Self(Vec::new());
        for (name, value) in given.iter() {
            let option = options
                .iter()
                .find(|option| option.name == name)
                .ok_or_else(|| Error::caller(format!("Invalid parameter '{name}'")))?;
            values.set(name, checked(option, value)?);
        }
        Ok(values)
    }

    /// The size that was given beside the options.
    fn take_size(&mut self, given: Option<u64>) -> Result<()> {
        // 2^64-1 is -1 as a signed number, which in the real tool means that no size was given.
        match given.filter(|size| *size != u64::MAX) {
            Some(_) if self.text("size").is_some() => {
                Err(Error::caller("The image size must be specified only once"))
            }
            Some(size) => {
                self.set("size", signed(size));
                Ok(())
            }
            None => {
                self.0.retain(|(name, text)| {
                    name != "size" || (text != "-1" && text.parse() != Ok(u64::MAX))
                });
                Ok(())
            }
        }
    }

    fn set(&mut self, name: &str, value: String) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some(entry) => entry.1 = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// In the table's order, with the defaults that are shown.
    fn complete(self, options: &[OptionSpec]) -> OptionTree {
        let mut tree = OptionTree::default();
        for option in options {
            if let Some(value) = self.text(option.name).or(option.default) {
                tree.set(option.name, value);
            }
        }
        tree
    }
}

pub(in crate::graph) fn checked(option: &OptionSpec, value: &Value) -> Result<String> {
    let text = text_of(value).unwrap_or_default();
    match option.kind {
        ValueKind::Text => Ok(text),
        ValueKind::Switch => parse_switch(option.name, &text).map(|_| text),
        ValueKind::Size => size::parse_option(option.name, &text).map(signed),
        // These are read again, as they were given, by who needs them: a sign is not the same as the highest bit there.
        ValueKind::Number if read_twice(option.name) => {
            parse_number(option.name, &text).map(|_| text)
        }
        ValueKind::Number => parse_number(option.name, &text).map(signed),
    }
}

fn read_twice(name: &str) -> bool {
    ["keyslot", "iter-time"].contains(&name.trim_start_matches("encrypt."))
}

/// A checked value as it is shown.
pub(super) fn shown(name: &str, text: &str) -> String {
    match parse_number(name, text) {
        Ok(number) if read_twice(name) => signed(number),
        _ => text.to_owned(),
    }
}

/// A number as C reads it: leading blanks, a sign that wraps around, decimal, octal or hexadecimal.
fn parse_number(name: &str, text: &str) -> Result<u64> {
    let malformed = || Error::caller(format!("Parameter '{name}' expects a number"));
    let trimmed = text.trim_start();
    let (negative, digits) = match trimmed.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let (digits, radix) = match digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
    {
        Some(rest) => (rest, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (&digits[1..], 8),
        None => (digits, 10),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(malformed());
    }
    let number = u64::from_str_radix(digits, radix).map_err(|_| {
        Error::caller(format!(
            "Value '{text}' is too large for parameter '{name}'"
        ))
    })?;
    Ok(if negative {
        number.wrapping_neg()
    } else {
        number
    })
}

/// Looks at the backing file: it must open, its format must be given, and its size is the default size.
fn check_backing(
    values: &mut Values,
    request: &CreateRequest,
    environment: &Environment,
) -> Result<()> {
    let Some(backing) = values.text("backing_file").map(str::to_owned) else {
        return Ok(());
    };
    if backing.is_empty() {
        return Err(Error::caller(
            "Expected backing file name, got empty string",
        ));
    }
    if backing == request.filename {
        return Err(Error::caller(
            "Error: Trying to create an image with the same filename as the backing file",
        ));
    }
    let format = values.text("backing_fmt").map(str::to_owned);
    let missing_format = || Error::caller("Backing file specified without backing format");
    if request.unsafe_backing {
        return match format {
            Some(_) => Ok(()),
            None => Err(missing_format()),
        };
    }
    let resolved = open::resolve_against(&request.filename, &backing);
    let image = ImageArgument::File {
        name: resolved,
        format: format.clone(),
    };
    let flags = OpenFlags {
        no_io: true,
        no_backing: true,
        force_share: true,
        ..OpenFlags::default()
    };
    let node = open::open_node(&image, flags, environment)
        .map_err(|error| error.with_hint("Could not open backing image."))?;
    if format.is_none() {
        return Err(missing_format().with_hint(format!("Detected format of {}.", node.driver())));
    }
    if values.text("size").is_none() {
        values.set("size", signed(node.length()?));
    }
    node.close()
}
