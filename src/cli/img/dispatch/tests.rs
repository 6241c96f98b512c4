use super::*;

fn outcome(line: &[&str]) -> Outcome {
    let mut session = Session::new("/usr/bin/qemu-img");
    run(
        &mut session,
        line.iter().map(|&word| word.to_owned()).collect(),
    )
}

#[test]
fn refusals_before_a_subcommand() {
    assert!(matches!(
        outcome(&[]),
        Err(Failure::Usage(words)) if words == "Not enough arguments"
    ));
    assert!(matches!(
        outcome(&["inf"]),
        Err(Failure::Usage(words)) if words == "Command not found: inf"
    ));
    assert!(matches!(
        outcome(&["--zork", "info"]),
        Err(Failure::Grammar(words)) if words == "unrecognized option '--zork'"
    ));
}

#[test]
fn trace_options_are_accepted() {
    assert!(matches!(
        outcome(&["-T", "qcow2_*", "zork"]),
        Err(Failure::Usage(words)) if words == "Command not found: zork"
    ));
}

#[test]
fn names_that_are_not_text_are_refused() {
    use std::os::unix::ffi::OsStringExt;
    let bad = OsString::from_vec(vec![b'a', 0xff]);
    assert!(matches!(utf8(vec![bad]), Err(Failure::Error(_, 1))));
}
