use super::resolve;

#[test]
fn backing_names_are_seen_from_the_image() {
    assert_eq!(resolve("d/c.qcow2", "../a.qcow2"), "d/../a.qcow2");
    assert_eq!(resolve("c.qcow2", "a.qcow2"), "a.qcow2");
    assert_eq!(resolve("d/c.qcow2", "/a.qcow2"), "/a.qcow2");
    assert_eq!(resolve("d/c.qcow2", "nbd://host/x"), "nbd://host/x");
    assert_eq!(resolve("d/c.qcow2", "x/a:b"), "d/x/a:b");
}
