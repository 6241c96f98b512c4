//! The page: one self-contained file, a picture for each image. No script or style is loaded from anywhere.

use serde_json::{Value, json};

use super::page::{HEAD, SCRIPT, TAIL};
use crate::audit::ImageReport;

/// The whole page.
pub fn page<'a>(reports: impl Iterator<Item = &'a ImageReport>) -> String {
    let data: Vec<Value> = reports
        .map(|report| json!({ "report": report, "heat": report.heat }))
        .collect();
    // Inside a script element, only `<` could end the data.
    let data = Value::from(data).to_string().replace('<', "\\u003c");
    format!("{HEAD}<script>const DATA = {data};\n{SCRIPT}</script>\n{TAIL}")
}
