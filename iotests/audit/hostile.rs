//! Images that want to hurt: a clear refusal, no crash, no endless work.

use std::time::{Duration, Instant};

use crate::room::{Room, rooms};

/// The auditor refuses `bytes` with these words.
fn refused(room: &Room, bytes: &[u8], words: &str) {
    std::fs::write(room.path("bad"), bytes).unwrap();
    let output = room.audit_raw(&["bad"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{words}: {said}");
    assert!(said.contains(words), "{words}: {said}");
    let (code, reports) = room.audit(&["bad"]);
    assert_eq!(code, 2);
    assert!(reports[0]["error"].as_str().unwrap().contains(words));
}

fn put(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_be_bytes());
}

#[test]
fn broken_tables_are_refused() {
    let room = rooms().remove(0);
    room.create(
        "qcow2",
        "encrypt.format=aes,encrypt.key-secret=s",
        "good.qcow2",
        "2G",
    );
    let image = "driver=qcow2,file.filename=good.qcow2,encrypt.key-secret=s";
    room.io(&[], image, &["write -P 1 0 64k"]);
    let good = room.bytes("good.qcow2");
    let l1 = usize::try_from(u64::from_be_bytes(good[40..48].try_into().unwrap())).unwrap();
    let first = u64::from_be_bytes(good[l1..l1 + 8].try_into().unwrap());
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        bytes
    };
    // A bomb: each L1 entry names the same L2 table.
    let bomb = changed(&|bytes| (1..4).for_each(|index| put(bytes, l1 + index * 8, first)));
    refused(&room, &bomb, "used for two parts of the disk");
    let unaligned = changed(&|bytes| put(bytes, l1, 0x8000_0000_0000_0200));
    refused(&room, &unaligned, "unaligned");
    let snapshots = changed(&|bytes| bytes[60..64].copy_from_slice(&70_000_u32.to_be_bytes()));
    refused(&room, &snapshots, "Snapshot table too large");
    let method = changed(&|bytes| bytes[35] = 9);
    refused(&room, &method, "Unsupported encryption method 9");
    let missing = changed(&|bytes| bytes[35] = 2);
    refused(&room, &missing, "Missing CRYPTO header");
    refused(&room, b"LUKS\xba\xbe\x00\x02", "LUKS versions other than 1");
    refused(
        &room,
        b"QFI\xfb\x00\x00\x00\x07",
        "Unsupported qcow2 version 7",
    );
    let output = room.audit_raw(&["no-such-file"]);
    assert_eq!(output.status.code(), Some(2));
    let output = room.audit_raw(&["/dev/null"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_table_of_empty_snapshots_costs_little() {
    let room = rooms().remove(0);
    let options = "encrypt.format=aes,encrypt.key-secret=s,cluster_size=4k";
    room.create("qcow2", options, "many.qcow2", "8G");
    let mut bytes = room.bytes("many.qcow2");
    // hostile-images: 65,536 entries over zeros, and an L1 table of 4,096 entries.
    bytes[60..64].copy_from_slice(&65_536_u32.to_be_bytes());
    put(&mut bytes, 64, 1 << 30);
    std::fs::write(room.path("many.qcow2"), &bytes).unwrap();
    let start = Instant::now();
    let report = room.report(&["many.qcow2"]);
    assert_eq!(report["layers"].as_array().unwrap().len(), 65_537);
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn damaged_images_end_in_an_exit_code() {
    let room = rooms().remove(0);
    let luks = "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=0,cluster_size=4k";
    room.create("qcow2", luks, "luks.qcow2", "1M");
    room.create(
        "qcow2",
        "encrypt.format=aes,encrypt.key-secret=s,cluster_size=4k",
        "aes.qcow2",
        "1M",
    );
    room.create(
        "qcow",
        "encrypt.format=aes,encrypt.key-secret=s",
        "aes.qcow",
        "1M",
    );
    for (name, driver) in [
        ("luks.qcow2", "qcow2"),
        ("aes.qcow2", "qcow2"),
        ("aes.qcow", "qcow"),
    ] {
        let image = format!("driver={driver},file.filename={name},encrypt.key-secret=s");
        room.io(&[], &image, &["write -P 1 0 64k"]);
        if driver == "qcow2" {
            room.img("snapshot", &["-c", "s1", "--image-opts", &image]);
            room.io(&[], &image, &["write -P 2 0 8k"]);
        }
        let good = room.bytes(name);
        let mut state = 5_u64;
        for round in 0..60 {
            let mut bytes = good.clone();
            for _ in 0..=round % 6 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(round);
                let place = usize::try_from(state >> 33).unwrap();
                // Header, tables and everything else in turn.
                let at = if round % 2 == 0 {
                    place % 128
                } else {
                    place % bytes.len().min(65536)
                };
                bytes[at] = state.to_be_bytes()[4];
            }
            bytes.truncate(if round % 7 == 0 {
                bytes.len() / 3
            } else {
                bytes.len()
            });
            std::fs::write(room.path("bad"), &bytes).unwrap();
            let start = Instant::now();
            let output = room.audit_raw(&["bad"]);
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.code().is_some_and(|code| code <= 2),
                "{name} {round}: {said}"
            );
            assert!(!said.contains("panicked"), "{name} {round}: {said}");
            assert!(start.elapsed() < Duration::from_secs(30), "{name} {round}");
        }
    }
}
