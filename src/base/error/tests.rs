use super::*;

#[test]
fn bare_errors_speak_errno() {
    assert_eq!(Error::eio().to_string(), "Input/output error");
    assert!(Error::eio().is_bare());
}

#[test]
fn prefixes_keep_kind_errno_and_hints() {
    let error = Error::bare(errno::ENOENT)
        .with_hint("try another")
        .prefixed("Could not open 'x': ");
    assert_eq!(
        error.to_string(),
        "Could not open 'x': No such file or directory"
    );
    assert_eq!(error.errno(), errno::ENOENT);
    assert_eq!(error.hints(), ["try another"]);
    assert_eq!(error.kind(), Kind::Io);
}
