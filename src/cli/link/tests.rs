use super::*;

#[test]
fn makes_a_link_for_each_tool_and_again_without_complaint() {
    let directory = tempfile::tempdir().unwrap();
    let links = directory.path().join("a/b");
    make_links(&links, Path::new("/bin/true"), false).unwrap();
    make_links(&links, Path::new("/bin/true"), false).unwrap();
    for name in TOOL_NAMES {
        assert_eq!(
            std::fs::read_link(links.join(name)).unwrap(),
            Path::new("/bin/true")
        );
    }
}

#[test]
fn replaces_a_link_only_when_forced_and_a_file_never() {
    let directory = tempfile::tempdir().unwrap();
    let links = directory.path();
    symlink("/bin/false", links.join("qemu-img")).unwrap();
    assert!(make_links(links, Path::new("/bin/true"), false).is_err());
    make_links(links, Path::new("/bin/true"), true).unwrap();
    std::fs::remove_file(links.join("qemu-io")).unwrap();
    std::fs::write(links.join("qemu-io"), "precious").unwrap();
    assert!(make_links(links, Path::new("/bin/true"), true).is_err());
    assert_eq!(std::fs::read(links.join("qemu-io")).unwrap(), b"precious");
}
