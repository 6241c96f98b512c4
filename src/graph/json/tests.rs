use super::parse;

// The words were observed with `qemu-img info 'json:…'` 10.0.2.
#[test]
fn mistakes_get_the_real_words() {
    let rows = [
        ("", "Expecting a JSON value"),
        ("{\"a\" 1}", "JSON parse error, missing : in object pair"),
        (
            "{\"a\":1 \"b\":2}",
            "JSON parse error, expected separator in dict",
        ),
        ("[1 2]", "JSON parse error, expected separator in list"),
        ("{1:2}", "JSON parse error, key is not a string in object"),
        ("{\"a\":1,}", "JSON parse error, expecting value"),
        ("[1,]", "JSON parse error, expecting value"),
        ("{,}", "JSON parse error, expecting value"),
        ("foo", "JSON parse error, invalid keyword 'foo'"),
        ("nullx", "JSON parse error, invalid keyword 'nullx'"),
        (
            "\"\\x\"",
            "JSON parse error, invalid escape sequence in string",
        ),
        (
            "\"\\u12\"",
            "JSON parse error, \\u12\" is not a valid Unicode character",
        ),
        (
            "\"\\ud800\"",
            "JSON parse error, \\ud800 is not a valid Unicode character",
        ),
        ("01", "JSON parse error, stray '01'"),
        ("1.", "JSON parse error, stray '1.'"),
        ("-", "JSON parse error, stray '-'"),
        ("1e", "JSON parse error, stray '1e'"),
        ("@", "JSON parse error, stray '@'"),
        ("}", "JSON parse error, expecting value"),
        ("{} {}", "Expecting at most one JSON value"),
        ("-5x", "Expecting at most one JSON value"),
        ("\"abc", "JSON parse error, stray '\"abc'"),
        ("\"a\tb\"", "JSON parse error, stray '\"a\t'"),
        ("{\"a\":\"b\"", "JSON parse error, premature EOI"),
        ("{", "JSON parse error, premature EOI"),
        ("[1", "JSON parse error, premature EOI"),
        ("{\"a\":1,\"a\":2}", "JSON parse error, duplicate key"),
    ];
    for (text, words) in rows {
        assert_eq!(parse(text).unwrap_err().to_string(), words, "{text}");
    }
    let deep = "[".repeat(1026) + &"]".repeat(1026);
    assert_eq!(
        parse(&deep).unwrap_err().to_string(),
        "JSON nesting depth limit exceeded"
    );
}

#[test]
fn values_come_out_as_written() {
    let value =
        parse(" {'driver':\"raw\", \"size\":-512, \"x\":[null,true,1.5,'\\u00e9\\/']} ").unwrap();
    assert_eq!(
        value,
        serde_json::json!({"driver": "raw", "size": -512, "x": [null, true, 1.5, "é/"]})
    );
}
