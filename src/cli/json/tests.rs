use serde_json::json;

use super::*;

#[test]
fn nested_values_are_indented_and_empty_ones_broken() {
    let value = json!({"a": [], "b": {"c": [1, {"d": true}], "e": {}}});
    let expected = "{\n    \"a\": [\n    ],\n    \"b\": {\n        \"c\": [\n            1,\n            {\n                \"d\": true\n            }\n        ],\n        \"e\": {\n        }\n    }\n}";
    assert_eq!(pretty(&value), expected);
}

#[test]
fn one_line_form() {
    assert_eq!(
        compact(&json!({"driver": "raw", "file": {"n": [1, 2], "e": []}})),
        r#"{"driver": "raw", "file": {"n": [1, 2], "e": []}}"#
    );
}

#[test]
fn strings_are_ascii() {
    // As the real tool prints a file of that name.
    let name = "a\"\\\u{8}\u{c}\n\r\t\u{1}\u{1f}\u{7f}<>&é€😀.raw";
    assert_eq!(
        compact(&json!(name)),
        r#""a\"\\\b\f\n\r\t\u0001\u001F\u007F<>&\u00E9\u20AC\uD83D\uDE00.raw""#
    );
}
