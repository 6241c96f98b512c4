use super::*;

fn options(line: &'static str, letters: &'static str) -> (Vec<(char, String)>, Vec<String>, bool) {
    let words = split(line);
    let mut options = Options::new(&words, letters);
    let mut found = Vec::new();
    loop {
        match options.advance() {
            Ok(Some((letter, value))) => found.push((letter, value.to_owned())),
            Ok(None) => break,
            Err(_) => return (found, Vec::new(), false),
        }
    }
    let operands = options
        .operands
        .iter()
        .map(|word| (*word).to_owned())
        .collect();
    (found, operands, true)
}

#[test]
fn blanks_separate_and_nothing_quotes() {
    assert_eq!(split("  read  \"0 1\"\t5 "), ["read", "\"0", "1\"\t5"]);
    assert!(split("  ").is_empty());
}

#[test]
fn options_and_operands_mix() {
    let (found, operands, ok) = options("write 0 -qP 5 512 -P6 -- -z", "qzP:");
    assert!(ok);
    let found: Vec<_> = found.iter().map(|(c, v)| (*c, v.as_str())).collect();
    assert_eq!(found, [('q', ""), ('P', "5"), ('P', "6")]);
    assert_eq!(operands, ["0", "512", "-z"]);
}

#[test]
fn unknown_letters_and_missing_values_are_refused() {
    for line in ["read -x", "read --foo", "read -:", "read -P"] {
        assert!(!options(line, "qP:").2, "{line}");
    }
}

#[test]
fn integers_are_those_of_c() {
    let cases = [
        ("0", Some(0)),
        ("010", Some(8)),
        ("0x10", Some(16)),
        ("+1", Some(1)),
        ("255", Some(255)),
        ("0x", None),
        ("-1", None),
        ("", None),
        ("1k", None),
        ("08", None),
        ("++1", None),
        ("99999999999999999999", Some(u64::MAX)),
    ];
    for (text, expected) in cases {
        assert_eq!(integer(text), expected, "{text}");
    }
}
