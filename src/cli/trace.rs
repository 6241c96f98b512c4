//! `-T`, `--trace`: there are no events to switch on, but what is asked for is looked at.

use crate::base::Error;

/// Why a tool ends.
pub(super) enum Trouble {
    /// A whole line.
    Said(String),
    /// An error like others.
    Error(Error),
}

/// The warnings that `text` deserves.
pub(super) fn look_at(program: &str, text: &str) -> Result<Vec<String>, Trouble> {
    let mut warnings = Vec::new();
    let mut log = None;
    for (index, part) in text.split(',').enumerate() {
        let (key, value) = match part.split_once('=') {
            Some(pair) => pair,
            None if index == 0 => ("enable", part),
            None => (part, "on"),
        };
        match key {
            "enable" if value.is_empty() || value.contains('*') => {}
            "enable" => warnings.push(format!("warning: trace event '{value}' does not exist")),
            "events" => {
                if let Err(error) = std::fs::File::open(value) {
                    let words = Error::from(error).errno_text();
                    return Err(Trouble::Said(format!("{program}:{value}: {words}")));
                }
            }
            "file" => log = Some(value),
            _ => {
                let words = format!("Invalid parameter '{key}'");
                return Err(Trouble::Error(Error::caller(words)));
            }
        }
    }
    if let Some(log) = log {
        std::fs::File::create(log).map_err(|error| {
            let words = Error::from(error).errno_text();
            Trouble::Error(Error::caller(format!(
                "Error opening logfile {log}: {words}"
            )))
        })?;
    }
    Ok(warnings)
}
