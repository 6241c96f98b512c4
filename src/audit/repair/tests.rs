use super::*;

#[test]
fn names_survive_the_option_parser_and_the_shell() {
    let command = convert(Path::new("a,b'c.qcow2"), "qcow2", SourceKey::Embedded);
    assert!(
        command.contains(r"'driver=qcow2,file.filename=a,,b'\''c.qcow2,encrypt.key-secret=old'")
    );
    assert!(command.ends_with(r"'a,b'\''c-new.qcow2'"), "{command}");
    let command = convert(Path::new("x.raw"), "raw", SourceKey::None);
    assert!(!command.contains("id=old"));
    let command = erase_slot(Path::new("x"), "luks", 3);
    assert!(
        command.contains("-o state=inactive,keyslot=3 "),
        "{command}"
    );
}
