use super::*;

fn recording(output: &str) -> Recording {
    Recording {
        test: "042-zero-size".to_owned(),
        format: "raw".to_owned(),
        output: output.to_owned(),
    }
}

#[test]
fn a_golden_that_was_never_recorded_is_not_an_empty_one() {
    let directory = tempfile::tempdir().unwrap();
    let store = GoldenStore::new(directory.path().to_owned());
    assert_eq!(store.read("042-zero-size", "raw").unwrap(), None);
    store.record(&[recording("")], "tool", None).unwrap();
    let golden = store.read("042-zero-size", "raw").unwrap();
    assert_eq!(golden.as_deref(), Some(""));
}

#[test]
fn recording_keeps_the_provenance_of_other_goldens_and_forgets_removed_ones() {
    let directory = tempfile::tempdir().unwrap();
    let store = GoldenStore::new(directory.path().to_owned());
    store
        .record(&[recording("a")], "tool 1", Some("package 1"))
        .unwrap();
    let mut other = recording("b");
    "qcow2".clone_into(&mut other.format);
    store.record(&[other], "tool 2", None).unwrap();
    let goldens = store.provenance().unwrap().goldens;
    assert_eq!(goldens["042-zero-size.raw"].tool, "tool 1");
    assert_eq!(
        goldens["042-zero-size.raw"].package.as_deref(),
        Some("package 1")
    );
    assert_eq!(goldens["042-zero-size.qcow2"].sha256, digest(b"b"));

    std::fs::remove_file(store.path("042-zero-size", "raw")).unwrap();
    store.record(&[], "tool", None).unwrap();
    assert!(
        !store
            .provenance()
            .unwrap()
            .goldens
            .contains_key("042-zero-size.raw")
    );
}

#[test]
fn digests_are_sha256() {
    assert_eq!(
        digest(b"abc"),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn another_package_s_golden_is_preferred_for_that_package_only() {
    let directory = tempfile::tempdir().unwrap();
    let store = GoldenStore::new(directory.path().to_owned());
    store.record(&[recording("usual")], "tool", None).unwrap();
    let package = "qemu-utils 1:9.2.0+ds-2";
    let edition = store.edition(package);
    edition.record(&[recording("other")], "tool", None).unwrap();
    let read = |package| store.read_for("042-zero-size", "raw", package).unwrap();
    assert_eq!(read(Some(package)).as_deref(), Some("other"));
    assert_eq!(read(Some("qemu-utils 1:10.0.2")).as_deref(), Some("usual"));
    assert_eq!(read(None).as_deref(), Some("usual"));
    assert!(directory.path().join("qemu-utils_1_9.2.0+ds-2").is_dir());
}
