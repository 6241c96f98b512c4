//! One key and IV for several places.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use crate::brute::{self, Count};
use crate::room::{Room, finding, ids, number, rooms};

/// Writes with repeats and changes, snapshots in between, memory saved with each.
fn history(room: &Room, image: &str) {
    let mut state = 7_u64;
    let mut random = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for generation in 0..4 {
        let mut commands = Vec::new();
        for _ in 0..12 {
            let (pattern, start, length) = (random(3) + 1, random(4000), random(300) + 1);
            // Ends inside a sector, so that some sectors begin alike and go on differently.
            let (start, length) = (start * 512, length * 512 + random(32) * 16);
            commands.push(format!("write -P {pattern} {start} {length}"));
        }
        commands.push(format!(
            "write -b -P {} 0 {}",
            random(2) + 1,
            4096 * (generation + 1)
        ));
        let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
        room.io(&[], image, &commands);
        if generation < 3 {
            room.img(
                "snapshot",
                &["-c", &format!("s{generation}"), "--image-opts", image],
            );
        }
    }
}

fn counted(report: &serde_json::Value, id: &str) -> Count {
    Count {
        shared: number(report, id, "sectors"),
        equal: number(report, id, "sectors-with-equal-blocks"),
        identical: number(report, id, "sectors-identical"),
        different: number(report, id, "sectors-changed"),
    }
}

#[test]
fn legacy_aes_is_counted_as_by_brute_force() {
    for room in rooms() {
        for cluster in ["4k", "64k", "64k,extended_l2=on"] {
            let options = format!("encrypt.format=aes,encrypt.key-secret=s,cluster_size={cluster}");
            room.create("qcow2", &options, "aes.qcow2", "3M");
            history(
                &room,
                "driver=qcow2,file.filename=aes.qcow2,encrypt.key-secret=s",
            );
            let report = room.report(&["aes.qcow2"]);
            let image = room.bytes("aes.qcow2");
            let disk = brute::count(&image, false);
            assert!(
                disk.equal > disk.identical && disk.shared > disk.equal,
                "{disk:?}"
            );
            assert_eq!(
                counted(&report, "iv-reuse-snapshots"),
                disk,
                "{} {cluster}",
                room.name
            );
            let memory = brute::count(&image, true);
            assert!(memory.shared > 0, "{memory:?}");
            assert_eq!(
                counted(&report, "iv-reuse-vm-state"),
                memory,
                "{} {cluster}",
                room.name
            );
            assert_eq!(report["complete"], true);
            assert_eq!(report["layers"].as_array().unwrap().len(), 4);
        }
    }
}

#[test]
fn examples_point_at_equal_bytes() {
    for room in rooms() {
        room.create(
            "qcow2",
            "encrypt.format=aes,encrypt.key-secret=s",
            "aes.qcow2",
            "1M",
        );
        let image = "driver=qcow2,file.filename=aes.qcow2,encrypt.key-secret=s";
        room.io(&[], image, &["write -P 1 64k 64k"]);
        room.img("snapshot", &["-c", "s1", "--image-opts", image]);
        // A prefix of 32 bytes stays, so two CBC blocks are equal.
        room.io(&[], image, &["write -P 1 64k 64k", "write -P 2 65568 480"]);
        let report = room.report(&["aes.qcow2"]);
        let bytes = room.bytes("aes.qcow2");
        let reuse = finding(&report, "iv-reuse-snapshots");
        assert_eq!(reuse["severity"], "high");
        let examples = reuse["evidence"]["examples"].as_array().unwrap();
        assert_eq!(examples[0]["equal-bytes"], 32);
        assert_eq!(examples[0]["guest-offset"], 65536);
        for example in examples {
            let equal = usize::try_from(example["equal-bytes"].as_u64().unwrap()).unwrap();
            let at = |index: usize| {
                let host = example["places"][index]["host-offset"].as_u64().unwrap();
                &bytes[usize::try_from(host).unwrap()..][..equal]
            };
            assert_eq!(at(0), at(1));
        }
    }
}

#[test]
fn luks_has_no_equal_ciphertext() {
    for room in rooms() {
        for mode in ["xts", "cbc"] {
            let options = format!(
                "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=0,encrypt.ivgen-alg=essiv,\
                 encrypt.cipher-mode={mode}"
            );
            room.create("qcow2", &options, "luks.qcow2", "3M");
            history(
                &room,
                "driver=qcow2,file.filename=luks.qcow2,encrypt.key-secret=s",
            );
            let disk = brute::count(&room.bytes("luks.qcow2"), false);
            assert!(disk.shared > 0 && disk.equal == 0, "{disk:?}");
            let report = room.report(&["luks.qcow2"]);
            assert_eq!(ids(&report), ["few-iterations"], "{} {mode}", room.name);
            assert_eq!(report["protection"]["iv-domain"], "host");
            let (code, _) = room.audit(&["--fail-on=high", "luks.qcow2"]);
            assert_eq!(code, 0);
        }
    }
}

/// Where a guest cluster of the first L2 table lies, by the table at that header field.
fn host_of(image: &[u8], l1: usize, guest: usize) -> u64 {
    let word = |at: usize| u64::from_be_bytes(image[at..at + 8].try_into().unwrap());
    let table = word(l1) & 0x00ff_ffff_ffff_fe00;
    word(usize::try_from(table).unwrap() + guest * 8) & 0x00ff_ffff_ffff_fe00
}

#[test]
fn a_luks_writer_with_guest_ivs_is_caught() {
    for room in rooms() {
        let options = "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=0";
        room.create("qcow2", options, "luks.qcow2", "1M");
        let image = "driver=qcow2,file.filename=luks.qcow2,encrypt.key-secret=s";
        room.io(&[], image, &["write -P 1 0 64k"]);
        room.img("snapshot", &["-c", "s1", "--image-opts", image]);
        room.io(&[], image, &["write -P 2 0 64k"]);
        let before = room.report(&["luks.qcow2"]);
        assert!(!ids(&before).contains(&"iv-guest-offset"));
        // One block in the middle of sector 3 as it would be if both places had the guest's IV.
        let bytes = room.bytes("luks.qcow2");
        let word = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap());
        let offset = |at: usize| usize::try_from(word(at)).unwrap();
        let now = host_of(&bytes, offset(40), 0);
        let then = host_of(&bytes, offset(offset(64)), 0);
        let file = OpenOptions::new()
            .write(true)
            .open(room.path("luks.qcow2"))
            .unwrap();
        let block = usize::try_from(then).unwrap() + 3 * 512 + 64;
        file.write_all_at(&bytes[block..block + 16], now + 3 * 512 + 64)
            .unwrap();
        let report = room.report(&["luks.qcow2"]);
        assert_eq!(
            number(&report, "iv-guest-offset", "sectors-with-equal-blocks"),
            1
        );
        let example = &finding(&report, "iv-guest-offset")["evidence"]["examples"][0];
        assert_eq!(example["guest-offset"], 3 * 512);
        assert_eq!(example["equal-bytes"], 16);
    }
}

#[test]
fn plain_ivs_beyond_two_tebibytes_are_found() {
    for room in rooms() {
        let options = "key-secret=s,iter-time=0,ivgen-alg=plain,cipher-mode=cbc";
        room.create("luks", options, "plain.luks", "3T");
        let image = "driver=luks,file.filename=plain.luks,key-secret=s";
        room.io(&[], image, &["write -P 1 0 512", "write -P 1 2T 512"]);
        let report = room.report(&["plain.luks"]);
        assert_eq!(number(&report, "iv-wrap", "sectors-identical"), 1);
        let places = &finding(&report, "iv-wrap")["evidence"]["examples"][0]["places"];
        let host = |index: usize| places[index]["host-offset"].as_u64().unwrap();
        assert_eq!(host(1) - host(0), 1 << 41);

        let options = options.replace("plain,", "plain64,");
        room.create("luks", &options, "good.luks", "3T");
        let image = "driver=luks,file.filename=good.luks,key-secret=s";
        room.io(&[], image, &["write -P 1 0 512", "write -P 1 2T 512"]);
        let report = room.report(&["good.luks"]);
        assert!(!ids(&report).contains(&"iv-wrap"));
    }
}

#[test]
fn plain_ivs_in_a_large_qcow2_are_found() {
    for room in rooms() {
        let options = "cluster_size=2M,preallocation=metadata,encrypt.format=luks,encrypt.key-secret=s,\
                       encrypt.ivgen-alg=plain,encrypt.cipher-mode=cbc,encrypt.iter-time=0";
        room.create("qcow2", options, "plain.qcow2", "3T");
        let image = "driver=qcow2,file.filename=plain.qcow2,encrypt.key-secret=s";
        // iv-domains §6.4: five metadata clusters lie between the two.
        let far = format!("write -P 1 {}M 512", 1_048_671 * 2);
        room.io(&[], image, &["write -P 1 200M 512", &far]);
        let report = room.report(&["plain.qcow2"]);
        assert_eq!(
            number(&report, "iv-wrap", "sectors-identical"),
            1,
            "{}",
            room.name
        );
        let places = &finding(&report, "iv-wrap")["evidence"]["examples"][0]["places"];
        assert_eq!(places[0]["host-offset"], 0xd20_0000);
        assert_eq!(places[1]["host-offset"], 0x200_0d20_0000_u64);
    }
}

#[test]
fn ecb_shows_repetitions() {
    for room in rooms() {
        let options = "key-secret=s,iter-time=0,cipher-mode=ecb";
        room.create("luks", options, "ecb.luks", "1M");
        let image = "driver=luks,file.filename=ecb.luks,key-secret=s";
        room.io(&[], image, &["write -P 1 64k 64k"]);
        let report = room.report(&["ecb.luks"]);
        assert_eq!(number(&report, "ecb", "pieces-with-repetitions"), 1);
    }
}
