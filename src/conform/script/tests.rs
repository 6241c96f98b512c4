use super::*;

const GOOD: &str = "#!/usr/bin/env bash
# title: zero-sized images
# breaks: an image without a single sector can't be made
# groups: rw create
# formats: raw qcow2
# requires: program:od unprivileged
# origin: ours

. ./common.sh
# title: not part of the header
";

#[test]
fn a_complete_header_is_read() {
    let header = Header::parse(GOOD).unwrap();
    assert_eq!(header.title, "zero-sized images");
    assert_eq!(header.groups, ["rw", "create"]);
    assert_eq!(header.formats, ["raw", "qcow2"]);
    assert_eq!(
        header.requires,
        [
            Requirement::Program("od".to_owned()),
            Requirement::Unprivileged
        ]
    );
}

#[test]
fn each_fault_is_named() {
    let faults = [
        (
            "# breaks: an image without a single sector can't be made\n",
            "",
            "'breaks' is missing",
        ),
        ("raw qcow2", "raw qcow9", "unknown word 'qcow9'"),
        ("rw create", "rw speed", "unknown word 'speed'"),
        (
            "# origin: ours",
            "# author: me",
            "unknown header key 'author'",
        ),
        ("# origin: ours", "# title: again", "'title' twice"),
        ("# origin: ours", "# whatever", "not '# key: value'"),
        ("program:od", "od", "unknown requirement 'od'"),
    ];
    for (from, to, expected) in faults {
        let reason = Header::parse(&GOOD.replacen(from, to, 1)).unwrap_err();
        assert!(reason.contains(expected), "{reason}");
    }
}

#[test]
fn the_file_name_needs_a_number() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("zero.sh");
    std::fs::write(&path, GOOD).unwrap();
    assert!(Script::load(&path).is_err());
    let path = directory.path().join("042-zero-size.sh");
    std::fs::write(&path, GOOD).unwrap();
    let script = Script::load(&path).unwrap();
    assert_eq!(
        (script.number(), script.name.as_str()),
        ("042", "042-zero-size")
    );
}
