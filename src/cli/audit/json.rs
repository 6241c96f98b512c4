//! One JSON object a line and image (`docs/audit.md`).

use serde_json::{Value, json};

use super::run::Audited;
use crate::audit::report::SCHEMA;

/// The line, without its end.
pub(super) fn line(one: &Audited) -> String {
    let failed = |words: String| {
        json!({
            "schema": SCHEMA,
            "image": one.file.path.to_string_lossy(),
            "error": words,
        })
    };
    let value: Value = match &one.outcome {
        Ok(report) => {
            serde_json::to_value(report).unwrap_or_else(|error| failed(error.to_string()))
        }
        Err(error) => failed(error.to_string()),
    };
    value.to_string()
}
