use super::*;

use crate::conform::script::Header;

fn scripts() -> Vec<Script> {
    let script = |name: &str, groups: &[&str], formats: &[&str]| Script {
        name: name.to_owned(),
        path: format!("{name}.sh").into(),
        header: Header {
            groups: groups.iter().map(ToString::to_string).collect(),
            formats: formats.iter().map(ToString::to_string).collect(),
            ..Header::default()
        },
    };
    vec![
        script("042-zero-size", &["rw", "create"], &["raw", "qcow2"]),
        script("097-commit", &["commit"], &["qcow2"]),
        script("134-aes", &["rw", "encrypt"], &["qcow", "qcow2"]),
    ]
}

fn chosen(selection: &Selection) -> Result<Vec<String>, FitsNothing> {
    let scripts = scripts();
    let cases = selection.choose(&scripts)?;
    Ok(cases
        .iter()
        .map(|(script, format)| format!("{}.{format}", script.number()))
        .collect())
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

#[test]
fn everything_unless_asked_otherwise() {
    let all = ["042.raw", "042.qcow2", "097.qcow2", "134.qcow", "134.qcow2"];
    assert_eq!(chosen(&Selection::default()).unwrap(), all);
}

#[test]
fn tests_go_by_number_name_and_format() {
    let tests = words(&["042.raw", "134-aes"]);
    let selection = Selection {
        tests,
        ..Selection::default()
    };
    assert_eq!(
        chosen(&selection).unwrap(),
        ["042.raw", "134.qcow", "134.qcow2"]
    );
}

#[test]
fn a_word_that_fits_nothing_is_an_error_not_an_empty_run() {
    let selection = Selection {
        tests: words(&["042", "999"]),
        ..Selection::default()
    };
    assert_eq!(chosen(&selection), Err(FitsNothing("999".to_owned())));
}

#[test]
fn groups_formats_and_exclusions_narrow() {
    let selection = Selection {
        groups: words(&["rw"]),
        formats: words(&["qcow2"]),
        excluded: words(&["encrypt"]),
        ..Selection::default()
    };
    assert_eq!(chosen(&selection).unwrap(), ["042.qcow2"]);
    let selection = Selection {
        excluded: words(&["042", "134.qcow"]),
        ..Selection::default()
    };
    assert_eq!(chosen(&selection).unwrap(), ["097.qcow2", "134.qcow2"]);
}
