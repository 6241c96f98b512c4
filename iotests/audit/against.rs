//! Versions and copies.

use crate::room::{Room, finding, ids, number, real_room, rooms};

fn copy(room: &Room, from: &str, to: &str) {
    std::fs::copy(room.path(from), room.path(to)).unwrap();
}

#[test]
fn an_overwritten_block_shows_against_the_older_copy() {
    for room in rooms() {
        let options = "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=0";
        room.create("qcow2", options, "now.qcow2", "4M");
        let image = "driver=qcow2,file.filename=now.qcow2,encrypt.key-secret=s";
        room.io(&[], image, &["write -P 65 0 64k"]);
        copy(&room, "now.qcow2", "then.qcow2");
        // iv-domains §6.5: one byte in two sectors.
        room.io(&[], image, &["write -P 1 20 1", "write -P 1 5000 1"]);
        let report = room.report(&["--against", "then.qcow2", "now.qcow2"]);
        assert_eq!(
            number(&report, "reuse-in-place", "sectors"),
            2,
            "{}",
            room.name
        );
        assert_eq!(
            number(&report, "reuse-in-place", "sectors-with-equal-blocks"),
            2
        );
        let example = &finding(&report, "reuse-in-place")["evidence"]["examples"][0];
        assert_eq!(example["equal-bytes"], 512 - 16);
        assert!(!ids(&report).contains(&"reuse-moved"));

        room.create("qcow2", options, "stranger.qcow2", "4M");
        let output = room.audit_raw(&["--against", "stranger.qcow2", "now.qcow2"]);
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("master keys differ"), "{said}");
    }
}

#[test]
fn space_that_moved_to_another_place_of_the_disk_is_found() {
    // iv-domains §6.5, second row: first fit gives the freed cluster to the next write.
    for room in rooms() {
        let options = "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=0";
        room.create("qcow2", options, "now.qcow2", "4M");
        let image = "driver=qcow2,file.filename=now.qcow2,encrypt.key-secret=s";
        room.io(&[], image, &["write -P 65 0 64k"]);
        copy(&room, "now.qcow2", "then.qcow2");
        room.io(&[], image, &["discard 0 64k", "write -P 65 1M 64k"]);
        let report = room.report(&["--against", "then.qcow2", "now.qcow2"]);
        assert_eq!(
            number(&report, "reuse-moved", "sectors"),
            128,
            "{}",
            room.name
        );
        // The same plaintext: all blocks are equal though the guest offset is another.
        assert_eq!(
            number(&report, "reuse-moved", "sectors-with-equal-blocks"),
            128
        );
    }
}

#[test]
fn legacy_aes_can_be_compared_over_time() {
    for room in rooms() {
        room.create(
            "qcow2",
            "encrypt.format=aes,encrypt.key-secret=s",
            "now.qcow2",
            "4M",
        );
        let image = "driver=qcow2,file.filename=now.qcow2,encrypt.key-secret=s";
        room.io(&[], image, &["write -P 65 0 64k"]);
        copy(&room, "now.qcow2", "then.qcow2");
        room.io(&[], image, &["write -P 66 1056 16"]);
        let report = room.report(&["--against", "then.qcow2", "now.qcow2"]);
        assert_eq!(number(&report, "reuse-over-time", "sectors"), 1);
        let example = &finding(&report, "reuse-over-time")["evidence"]["examples"][0];
        assert_eq!(example["guest-offset"], 1024);
        assert_eq!(example["equal-bytes"], 32);
    }
}

#[test]
fn copies_share_their_master_key() {
    for room in rooms() {
        room.create("luks", "key-secret=s,iter-time=0", "one.luks", "1M");
        room.create("luks", "key-secret=s,iter-time=0", "fresh.luks", "1M");
        copy(&room, "one.luks", "copy.luks");
        let (_, reports) = room.audit(&["one.luks", "copy.luks", "fresh.luks"]);
        let files = |index: usize| {
            let shared = finding(&reports[index], "shared-master-key");
            shared["evidence"]["numbers"]["files"].clone()
        };
        assert_eq!(files(0), serde_json::json!(["copy.luks"]));
        assert_eq!(files(1), serde_json::json!(["one.luks"]));
        assert!(!ids(&reports[2]).contains(&"shared-master-key"));
    }
}

#[test]
fn one_legacy_password_for_two_formats_shows() {
    for room in rooms() {
        let options = "encrypt.format=aes,encrypt.key-secret=s";
        room.create("qcow2", options, "one.qcow2", "1M");
        room.create("qcow", options, "two.qcow", "1M");
        room.create("qcow", &options.replace("=s", "=t"), "three.qcow", "1M");
        for (name, driver, secret) in [
            ("one.qcow2", "qcow2", "s"),
            ("two.qcow", "qcow", "s"),
            ("three.qcow", "qcow", "t"),
        ] {
            let image = format!("driver={driver},file.filename={name},encrypt.key-secret={secret}");
            room.io(&[], &image, &["write -P 1 64k 8k"]);
        }
        let (code, reports) = room.audit(&["one.qcow2", "two.qcow", "three.qcow"]);
        assert_eq!(code, 1);
        for report in &reports[..2] {
            assert_eq!(
                number(report, "shared-password", "sectors"),
                16,
                "{}",
                room.name
            );
        }
        assert_eq!(ids(&reports[2]), ["legacy-aes"]);
        // The bytes that the evidence names are equal.
        let example = &finding(&reports[0], "shared-password")["evidence"]["examples"][0];
        let block = |index: usize, name: &str| {
            let place = &example["places"][index];
            assert_eq!(place["layer"], name);
            let host = usize::try_from(place["host-offset"].as_u64().unwrap()).unwrap();
            room.bytes(name)[host..host + 16].to_vec()
        };
        assert_eq!(block(0, "one.qcow2"), block(1, "two.qcow"));
    }
}

#[test]
fn freed_clusters_that_hold_data_are_found() {
    let Some(room) = real_room() else { return };
    room.create(
        "qcow2",
        "encrypt.format=aes,encrypt.key-secret=s",
        "aes.qcow2",
        "1M",
    );
    let image = "driver=qcow2,file.filename=aes.qcow2,encrypt.key-secret=s";
    room.io(&[], image, &["write -P 1 0 64k", "write -P 2 64k 64k"]);
    room.img("snapshot", &["-c", "s1", "--image-opts", image]);
    room.io(&[], image, &["write -P 1 0 512"]);
    let keep = format!("{image},pass-discard-snapshot=off");
    room.img("snapshot", &["-d", "s1", "--image-opts", &keep]);
    let report = room.report(&["aes.qcow2"]);
    let stale = |name| number(&report, "stale-clusters", name);
    // The snapshot's L1, its L2 table and the old cluster; the last begins like the live one in every sector.
    assert!(stale("free-clusters-holding-data") >= 1, "{report}");
    assert_eq!(stale("live-sectors-that-match"), 128);
    assert!(!ids(&report).contains(&"iv-reuse-snapshots"));
}
