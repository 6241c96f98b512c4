//! The name that a node shows: its file's name where that says all, else a `json:` name.

use serde_json::{Map, Value};

use crate::graph::OptionTree;
use crate::node::Node;

/// The order in which the real tools print the options of a `json:` name (observed; theirs is a hash's). `*` stands
/// for the number of an error: those of all numbers follow each other.
const ORDER: [&str; 52] = [
    "read-pattern",
    "offset",
    "set-state.1.event",
    "encrypt.key-secret",
    "inject-error.*.state",
    "set-state.4.state",
    "opt-write-zero",
    "inject-error.*.immediately",
    "set-state.3.new_state",
    "set-state.0.event",
    "set-state.3.state",
    "inject-error.*.once",
    "set-state.2.new_state",
    "max-write-zero",
    "image",
    "children",
    "set-state.5.event",
    "max-transfer",
    "set-state.2.state",
    "log",
    "log-sector-size",
    "throttle-group",
    "read-zeroes",
    "header",
    "set-state.1.new_state",
    "test",
    "driver",
    "raw",
    "log-append",
    "set-state.4.event",
    "set-state.1.state",
    "config",
    "blkverify",
    "rewrite-corrupted",
    "vote-threshold",
    "inject-error.*.iotype",
    "set-state.0.new_state",
    "inject-error.*.errno",
    "inject-error.*.event",
    "opt-discard",
    "set-state.3.event",
    "set-state.0.state",
    "inject-error.*.sector",
    "set-state.5.new_state",
    "set-state.2.event",
    "set-state.5.state",
    "set-state.4.new_state",
    "max-discard",
    "align",
    "size",
    "file",
    "key-secret",
];

/// The place in the order, and the number of an error.
fn rank(name: &str) -> (usize, u64) {
    let numbered = name
        .strip_prefix("inject-error.")
        .and_then(|rest| rest.split_once('.'))
        .and_then(|(number, field)| {
            Some((number.parse().ok()?, format!("inject-error.*.{field}")))
        });
    let (number, name) = numbered.unwrap_or_else(|| (0, name.to_owned()));
    let place = ORDER.iter().position(|known| *known == name);
    (place.unwrap_or(ORDER.len()), number)
}

/// `json:{…}` with the members in the real order, in the real spacing.
pub(super) fn json_name(mut members: Vec<(String, Value)>) -> String {
    members.sort_by_key(|(name, _)| rank(name));
    let object: Map<String, Value> = members.into_iter().collect();
    format!("json:{}", spaced(&Value::Object(object)))
}

/// JSON with a blank behind every colon and comma.
fn spaced(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let inside: Vec<String> = members
                .iter()
                .map(|(name, member)| {
                    format!("{}: {}", Value::String(name.clone()), spaced(member))
                })
                .collect();
            format!("{{{}}}", inside.join(", "))
        }
        Value::Array(items) => {
            let inside: Vec<String> = items.iter().map(spaced).collect();
            format!("[{}]", inside.join(", "))
        }
        scalar => scalar.to_string(),
    }
}

/// The description of a file node inside another node's `json:` name.
pub(super) fn file_member(filename: &str) -> Value {
    if let Some(text) = filename.strip_prefix("json:") {
        return crate::graph::json::parse(text).unwrap_or_default();
    }
    let mut members = Map::new();
    members.insert("driver".to_owned(), "file".into());
    members.insert("filename".to_owned(), filename.into());
    Value::Object(members)
}

/// The description of any node inside another node's `json:` name.
pub(super) fn node_member(node: &dyn Node) -> Value {
    let filename = node.filename();
    match node.file() {
        Some(file) if !filename.starts_with("json:") => {
            let mut members = Map::new();
            members.insert("driver".to_owned(), node.driver().into());
            members.insert("file".to_owned(), node_member(file.as_ref()));
            Value::Object(members)
        }
        _ => file_member(&filename),
    }
}

/// The name of a format node: `None` when its file's name says it all, else a `json:` name with the key's id, and with
/// the file of a header that lies apart.
pub(super) fn format_name(
    driver: &str,
    file: &str,
    header: Option<&str>,
    tree: &OptionTree,
) -> Option<String> {
    let given: Vec<(String, Value)> = ["encrypt.key-secret", "key-secret"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), tree.lookup(name)?.clone())))
        .collect();
    if given.is_empty() && !file.starts_with("json:") {
        return None;
    }
    let mut members = vec![
        ("driver".to_owned(), driver.into()),
        ("file".to_owned(), file_member(file)),
    ];
    members.extend(header.map(|name| ("header".to_owned(), file_member(name))));
    members.extend(given);
    Some(json_name(members))
}

pub(super) fn null_name(driver: &str, tree: &OptionTree) -> String {
    let given: Vec<(String, Value)> = ["size", "read-zeroes"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), tree.lookup(name)?.clone())))
        .collect();
    if given.is_empty() {
        return format!("{driver}://");
    }
    let mut members = vec![("driver".to_owned(), driver.into())];
    members.extend(given);
    json_name(members)
}
