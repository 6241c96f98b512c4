use crate::driver::qcow2::workshop::{Workshop, assert_same_bytes};
use crate::node::{Node, SnapshotRequest};

/// One step of a history, done by the real tool on one copy and by ours on another.
#[derive(Clone, Debug)]
enum Step {
    /// Commands of the real `qemu-io`, on both copies.
    Io(&'static [&'static str]),
    /// Arguments of the real `qemu-img`, on both copies; the image's name is appended.
    Img(&'static str),
    Create(&'static str),
    Apply(&'static str),
    Delete(&'static str),
}

/// `cluster` bytes are what a compressed write takes: the real tool stores several in any order.
fn run(shop: &Workshop, step: &Step, cluster: &str) {
    match step {
        Step::Io(commands) => {
            let commands: Vec<String> = commands
                .iter()
                .map(|command| command.replace("CLUSTER", cluster))
                .collect();
            let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
            shop.io("real", &commands);
            shop.io("ours", &commands);
        }
        Step::Img(line) => {
            for name in ["real", "ours"] {
                let line = line.replace("IMAGE", name);
                shop.img_line(&line);
            }
        }
        Step::Create(name) => {
            shop.img(&["snapshot", "-c", name, "real"]);
            // The same date, so that the bytes can be the same.
            let taken = shop.open("real").snapshots().unwrap().pop().unwrap();
            let request = SnapshotRequest {
                name: (*name).to_owned(),
                date_seconds: taken.date_seconds,
                date_nanoseconds: taken.date_nanoseconds,
            };
            let image = shop.open_writable("ours");
            image.snapshot_create(&request).unwrap();
            image.close().unwrap();
        }
        Step::Apply(name) => {
            shop.img(&["snapshot", "-a", name, "real"]);
            let image = shop.open_writable("ours");
            image.snapshot_apply(name).unwrap();
            image.close().unwrap();
        }
        Step::Delete(name) => {
            shop.img(&["snapshot", "-d", name, "real"]);
            let image = shop.open_writable("ours");
            image.snapshot_delete(None, Some(name)).unwrap();
            image.close().unwrap();
        }
    }
}

fn histories() -> Vec<Vec<Step>> {
    use Step::{Apply, Create, Delete, Img, Io};
    vec![
        vec![
            Io(&["write -P 1 0 200k", "write -z 256k 64k"]),
            Create("a"),
            Io(&["write -P 2 64k 100k", "write -c -P 3 512k CLUSTER"]),
            Create("b"),
            Apply("a"),
            Create("c"),
            Io(&["write -P 4 0 1M"]),
            Delete("a"),
            Apply("b"),
            Delete("b"),
            Delete("c"),
        ],
        vec![
            Create("empty"),
            Io(&[
                "write -c -P 3 0 CLUSTER",
                "write -c -P 4 64k CLUSTER",
                "discard 64k 64k",
            ]),
            Create("twice"),
            Create("twice"),
            Io(&["write -P 5 0 64k", "discard 0 64k"]),
            Delete("twice"),
            Apply("3"),
            Apply("empty"),
            Delete("empty"),
            Delete("twice"),
        ],
        vec![
            Io(&["write -P 1 0 64k"]),
            Create("small"),
            Img("resize -q IMAGE 5M"),
            Io(&["write -P 2 4M 1M"]),
            Create("large"),
            Apply("small"),
            Io(&["write -P 3 0 64k"]),
            Apply("large"),
            Delete("small"),
        ],
        vec![
            Io(&["write -P 1 0 64k", "write -b -P 9 0 64k"]),
            Create("with state"),
            Io(&["write -b -P 8 0 128k"]),
            Create("more state"),
            Apply("with state"),
            Delete("with state"),
        ],
    ]
}

#[test]
fn histories_leave_the_real_tools_bytes() {
    let Some(shop) = Workshop::new() else { return };
    for (cluster, options) in [
        ("64k", "cluster_size=64k"),
        ("64k", "compat=0.10"),
        ("512", "cluster_size=512,refcount_bits=64"),
        ("4k", "cluster_size=4k,refcount_bits=8"),
        ("64k", "cluster_size=64k,lazy_refcounts=on"),
    ] {
        for (number, history) in histories().iter().enumerate() {
            if options == "compat=0.10" && number == 2 {
                continue; // Version 2 refuses to resize an image with snapshots.
            }
            for name in ["real", "ours"] {
                shop.img_line(&format!("create -q -f qcow2 -o {options} {name} 1M"));
            }
            for (at, step) in history.iter().enumerate() {
                run(&shop, step, cluster);
                assert_same_bytes(
                    &shop.bytes("ours"),
                    &shop.bytes("real"),
                    &format!("{options}, history {number}, step {at} {step:?}"),
                );
            }
            shop.img_line("check -q ours");
        }
    }
}

#[test]
fn a_refused_snapshot_leaves_the_image_as_it_was() {
    let Some(shop) = Workshop::new() else { return };
    shop.img_line("create -q -f qcow2 -o refcount_bits=1 narrow 1M");
    shop.io("narrow", &["write -P 1 0 300k"]);
    let before = shop.bytes("narrow");
    let image = shop.open_writable("narrow");
    let request = SnapshotRequest {
        name: "one too many".to_owned(),
        ..SnapshotRequest::default()
    };
    // Counts of one bit can't count two. The real tool leaks a cluster here (errata 62).
    let error = image.snapshot_create(&request).unwrap_err();
    assert_eq!(error.to_string(), "Invalid argument");
    assert_eq!(image.snapshots().unwrap(), []);
    image.close().unwrap();
    let after = shop.bytes("narrow");
    assert_same_bytes(&after[..before.len()], &before, "a refused snapshot");
    shop.img_line("check -q narrow");
}

#[test]
fn faults_of_the_table_have_the_real_words() {
    let Some(shop) = Workshop::new() else { return };
    shop.img_line("create -q -f qcow2 good 1M");
    shop.io("good", &["write -P 1 0 64k"]);
    shop.img_line("snapshot -c a good");
    let table = u64::from_be_bytes(shop.bytes("good")[64..72].try_into().unwrap());
    let too_large = "Snapshot L1 table too large";
    let invalid = "Snapshot L1 table offset invalid";
    for (at, patch, words) in [
        (table + 8, vec![0x7f, 0xff, 0xff, 0xff], too_large),
        (table, 1_u64.to_be_bytes().to_vec(), invalid),
        (table, (1_u64 << 63).to_be_bytes().to_vec(), invalid),
    ] {
        shop.copy("good", "bad");
        shop.patch("bad", &[(at, &patch)]);
        let before = shop.bytes("bad");
        let image = shop.open_writable("bad");
        let refused = |outcome: crate::base::Result<()>| outcome.unwrap_err().to_string();
        assert_eq!(refused(image.snapshot_apply("a")), words);
        assert_eq!(refused(image.snapshot_delete(None, Some("a"))), words);
        image.close().unwrap();
        let image = shop.open("bad");
        assert_eq!(refused(image.snapshot_load(None, Some("a"))), words);
        assert_eq!(
            refused(image.snapshot_load(Some("7"), None)),
            "Can't find snapshot"
        );
        image.close().unwrap();
        assert_same_bytes(&shop.bytes("bad"), &before, words);
    }
    let image = shop.open_writable("good");
    let missing = image.snapshot_delete(None, Some("1")).unwrap_err();
    assert_eq!(missing.to_string(), "snapshot not found");
    assert_eq!(
        image.snapshot_apply("b").unwrap_err().to_string(),
        "No such file or directory"
    );
    image.close().unwrap();
}
