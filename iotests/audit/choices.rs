//! Plaintext, and choices that were made at creation.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use cowproof::codec::Compression;

use crate::room::{Room, ids, number, real_room, rooms};

#[test]
fn the_real_tools_compressed_clusters_are_unpacked() {
    let Some(room) = real_room() else { return };
    for kind in ["zlib", "zstd"] {
        let options = format!(
            "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=0,compression_type={kind}"
        );
        room.create("qcow2", &options, "clear.qcow2", "1114112");
        std::fs::write(room.path("plain.raw"), vec![b'p'; 1_114_112]).unwrap();
        let target = "driver=qcow2,file.filename=clear.qcow2,encrypt.key-secret=s";
        room.img(
            "convert",
            &[
                "-n",
                "-c",
                "--target-image-opts",
                "--image-opts",
                "driver=raw,file.filename=plain.raw",
                target,
            ],
        );
        let report = room.report(&["clear.qcow2"]);
        assert_eq!(number(&report, "plaintext-compressed", "clusters"), 17);
        assert_eq!(
            number(&report, "plaintext-compressed", "clusters-unpacked"),
            17
        );
        // The guest's text itself is in no report.
        assert!(!report.to_string().contains("pppp"));
    }
}

#[test]
fn a_compressed_cluster_in_an_encrypted_image_is_unpacked() {
    for room in rooms() {
        let options = "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=0";
        room.create("qcow2", options, "clear.qcow2", "1M");
        let image = "driver=qcow2,file.filename=clear.qcow2,encrypt.key-secret=s";
        room.io(&[], image, &["write -P 1 0 64k"]);
        let bytes = room.bytes("clear.qcow2");
        let word = |at: u64| {
            let at = usize::try_from(at).unwrap();
            u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap()) & 0x00ff_ffff_ffff_fe00
        };
        let table = word(word(40));
        let host = word(table);
        let mut packed = Vec::new();
        assert!(
            Compression::Deflate
                .compress(&vec![7; 65536], &mut packed)
                .unwrap()
        );
        let file = OpenOptions::new()
            .write(true)
            .open(room.path("clear.qcow2"))
            .unwrap();
        file.write_all_at(&packed, host).unwrap();
        // qcow2 §3: 64 KiB clusters have the sector count in bits 54 to 61.
        let entry = 1 << 62 | ((packed.len() as u64 - 1) / 512) << 54 | host;
        file.write_all_at(&entry.to_be_bytes(), table).unwrap();
        let report = room.report(&["clear.qcow2"]);
        assert_eq!(
            number(&report, "plaintext-compressed", "clusters-unpacked"),
            1
        );
        // Bytes that don't unpack prove nothing.
        file.write_all_at(&[0xff; 512], host).unwrap();
        let report = room.report(&["clear.qcow2"]);
        assert_eq!(
            number(&report, "plaintext-compressed", "clusters-unpacked"),
            0
        );
    }
}

#[test]
fn preallocated_zeros_are_found() {
    for room in rooms() {
        let options =
            "preallocation=full,encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=0";
        room.create("qcow2", options, "full.qcow2", "1M");
        let image = "driver=qcow2,file.filename=full.qcow2,encrypt.key-secret=s";
        room.io(&[], image, &["write -P 1 64k 64k"]);
        let zeros = room.bytes("full.qcow2");
        let report = room.report(&["full.qcow2"]);
        if ids(&report).contains(&"never-written") {
            assert_eq!(
                number(&report, "never-written", "sectors"),
                15 * 128,
                "{}",
                room.name
            );
        } else {
            // A writer that encrypts its zeros leaves none: then no block of zeros is in the data.
            let data = &zeros[zeros.len() - (1 << 20)..];
            assert!(
                !data
                    .chunks(512)
                    .any(|sector| sector.iter().all(|byte| *byte == 0))
            );
        }
    }
}

#[test]
fn weak_choices_are_named() {
    for room in rooms() {
        let cases: [(&str, &[&str]); 4] = [
            ("hash-alg=sha1", &["few-iterations", "weak-hash"]),
            (
                "cipher-alg=cast5-128,cipher-mode=cbc",
                &["cbc-predictable-iv", "few-iterations", "small-blocks"],
            ),
            ("cipher-mode=ctr", &["ctr", "few-iterations"]),
            ("ivgen-alg=plain", &["few-iterations", "plain-iv"]),
        ];
        for (options, expected) in cases {
            let options = format!("key-secret=s,iter-time=0,{options}");
            room.create("luks", &options, "weak.luks", "1M");
            let report = room.report(&["weak.luks"]);
            assert_eq!(ids(&report), expected, "{} {options}", room.name);
        }
    }
}

fn two_slots(room: &Room) {
    let report = room.report(&["two.luks"]);
    assert_eq!(number(&report, "extra-key-slots", "active"), 2);
    let slots = report["protection"]["key-slots"].as_array().unwrap();
    assert_eq!(slots.len(), 2);
    assert_eq!(slots[1]["iterations"], 1000);
    let report = room.report(&["--expected-slots=2", "two.luks"]);
    assert_eq!(ids(&report), ["few-iterations"]);
}

#[test]
fn key_slots_are_counted() {
    for room in rooms() {
        room.create("luks", "key-secret=s,iter-time=0", "two.luks", "1M");
        let file = OpenOptions::new()
            .write(true)
            .open(room.path("two.luks"))
            .unwrap();
        // luks1 §1: state and iterations of slot 1.
        file.write_all_at(&[0, 0xac, 0x71, 0xf3, 0, 0, 0x03, 0xe8], 208 + 48)
            .unwrap();
        two_slots(&room);
    }
}

#[test]
fn a_key_slot_that_the_real_tool_added_is_counted() {
    let Some(room) = real_room() else { return };
    room.create("luks", "key-secret=s,iter-time=0", "two.luks", "1M");
    let image = "driver=luks,file.filename=two.luks,key-secret=s";
    let options = "state=active,new-secret=t,iter-time=0";
    room.img("amend", &["-o", options, "--image-opts", image]);
    two_slots(&room);
}
