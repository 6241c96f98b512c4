use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

use crate::base::Result;
use crate::driver::qcow2::Qcow2OpenOptions;
use crate::driver::qcow2::workshop::Workshop;
use crate::node::{CheckReport, Node, Notices, Repair};

/// What our check says and counts.
fn ours(shop: &Workshop, name: &str) -> (Vec<String>, Result<CheckReport>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let options = Qcow2OpenOptions {
        check: true,
        notices: Notices::to(move |line| sink.lock().push(line.to_owned())),
        ..Qcow2OpenOptions::default()
    };
    let outcome = shop.try_open(name, &options).and_then(|image| {
        let outcome = image.check(Repair::Nothing, &mut |line| {
            lines.lock().push(line.to_owned());
        });
        image.close()?;
        outcome
    });
    let said = lines.lock().clone();
    (said, outcome)
}

/// The same from the real tool: its findings, and its JSON when the check got that far.
fn real(shop: &Workshop, name: &str) -> (Vec<String>, Option<Value>) {
    let secret = "secret,id=s,data=pw";
    let image = format!("driver=qcow2,file.filename={name}");
    let image = if name.starts_with("encrypted") {
        format!("{image},encrypt.key-secret=s")
    } else {
        image
    };
    let output = shop.try_tool(
        "qemu-img",
        &[
            "check",
            "--output=json",
            "--object",
            secret,
            "--image-opts",
            &image,
        ],
    );
    let said = String::from_utf8_lossy(&output.stderr)
        .lines()
        // The words of an error and its hints are the caller's to print.
        .filter(|line| !line.starts_with("qemu-img: ") && !line.starts_with("You can "))
        .map(str::to_owned)
        .collect();
    (said, serde_json::from_slice(&output.stdout).ok())
}

fn assert_agreement(shop: &Workshop, name: &str, what: &str) {
    let (real_lines, json) = real(shop, name);
    let (lines, outcome) = ours(shop, name);
    let shown = |lines: &[String]| {
        lines
            .iter()
            .take(30)
            .cloned()
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert!(
        lines == real_lines,
        "{what}: ours\n{}\nreal\n{}\n{outcome:?}",
        shown(&lines),
        shown(&real_lines)
    );
    let Some(json) = json else {
        outcome.expect_err(what);
        return;
    };
    let report = outcome.expect(what);
    let real = |key: &str| json.get(key).and_then(Value::as_u64).unwrap_or(0);
    let counts = [
        ("image-end-offset", report.image_end_offset),
        ("total-clusters", report.total_clusters),
        ("check-errors", report.check_errors),
        ("corruptions", report.corruptions),
        ("leaks", report.leaks),
        ("allocated-clusters", report.allocated_clusters),
        ("fragmented-clusters", report.fragmented_clusters),
        ("compressed-clusters", report.compressed_clusters),
    ];
    for (key, count) in counts {
        assert_eq!(count, real(key), "{what}: {key}");
    }
}

/// Images with everything in them: data, compressed and zero clusters, a snapshot.
pub(super) fn workshop() -> Option<Workshop> {
    let shop = Workshop::new()?;
    shop.img_line("create -q -f qcow2 plain 64M");
    let commands = [
        "write -P 1 0 192k",
        "write -c -P 3 1M 64k",
        "write -c -P 3 1088k 64k",
        "write -z 2M 64k",
        "write -P 4 1152k 64k",
    ];
    shop.io("plain", &commands);
    shop.copy("plain", "snapshot");
    shop.img_line("snapshot -c a snapshot");
    shop.io("snapshot", &["write -P 5 64k 64k"]);
    shop.img_line("create -q -f qcow2 -o refcount_bits=1,cluster_size=4k narrow 3M");
    shop.io("narrow", &["write 0 1M"]);
    shop.img_line("create -q -f qcow2 -o compat=0.10 old 64M");
    shop.io("old", &["write 0 192k"]);
    shop.img_line(
        "create -q -f qcow2 -o preallocation=metadata,refcount_bits=64,cluster_size=512 small 3M",
    );
    let luks = "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10";
    shop.img_line(&format!(
        "create -q -f qcow2 --object secret,id=s,data=pw -o {luks} encrypted 1M"
    ));
    Some(shop)
}

/// Places in `plain` and `snapshot`.
pub(super) const REFCOUNT_TABLE: u64 = 0x1_0000;
pub(super) const BLOCK: u64 = 0x2_0000;
pub(super) const L1: u64 = 0x3_0000;
pub(super) const L2: u64 = 0x4_0000;

#[test]
fn every_kind_of_damage_is_told_in_the_real_words() {
    let Some(shop) = workshop() else { return };
    for name in ["plain", "snapshot", "narrow", "old", "small", "encrypted"] {
        assert_agreement(&shop, name, name);
    }
    let q = u64::to_be_bytes;
    let cases: Vec<(&str, u64, Vec<u8>)> = vec![
        ("plain", BLOCK + 9 * 2, vec![0, 1]),
        ("plain", BLOCK + 4 * 2, vec![0, 2]),
        ("plain", BLOCK + 5 * 2, vec![0, 2]),
        ("plain", BLOCK + 6 * 2, vec![0, 0]),
        ("plain", BLOCK + 8 * 2, vec![0, 1]),
        ("plain", L2 + 8, q(0x8000_0000_0005_0000).into()),
        ("plain", L2 + 8, q(0x8000_0000_0000_0200).into()),
        ("plain", L2 + 8, q(0x8000_0000_0003_0000).into()),
        ("plain", L2 + 8, q(0x8000_0000_0100_0000).into()),
        ("plain", L2 + 8, q(0x80ff_0000_0100_0000).into()),
        ("plain", L2 + 8, q(0x8000_0000_0006_0200).into()),
        ("plain", L2 + 8, q(0x8000_0000_0006_0201).into()),
        ("plain", L2 + 8, q(0x8100_0000_0100_0200).into()),
        ("plain", L2 + 8, q(0xbf00_0000_0006_01fe).into()),
        ("plain", L2 + 8, q(0x0006_0000).into()),
        ("plain", L2 + 8 * 5, q(1 << 63).into()),
        ("plain", L2 + 8 * 5, q(3).into()),
        ("plain", L2 + 8 * 5, q(2).into()),
        ("plain", L2 + 8 * 16, vec![0xc0]),
        ("plain", L2 + 8 * 16, q(0x4000_0000_1008_0000).into()),
        ("plain", L2 + 8 * 16, q(0x7fff_ffff_ffff_ffff).into()),
        ("plain", L2 + 8 * 16, q(0x4000_0000_0005_0000).into()),
        ("plain", L1, q(0xbf00_0000_0004_01ff).into()),
        ("plain", L1, q(0x8000_0000_0004_0200).into()),
        ("plain", L1, q(0x8000_0000_1000_0000).into()),
        ("plain", L1, q(0x0004_0000).into()),
        ("plain", REFCOUNT_TABLE, q(0x2_0001).into()),
        ("plain", REFCOUNT_TABLE, q(0x2_0200).into()),
        ("plain", REFCOUNT_TABLE, q(0).into()),
        ("plain", REFCOUNT_TABLE + 8, q(0x100_0000).into()),
        ("plain", REFCOUNT_TABLE + 8, q(0x2_0000).into()),
        ("plain", REFCOUNT_TABLE + 8, q(0x5_0000).into()),
        ("plain", REFCOUNT_TABLE + 8, q(0x200).into()),
        ("plain", REFCOUNT_TABLE + 8, q(1 << 63).into()),
        ("plain", 56, vec![0; 4]),
        ("plain", 56, vec![0, 0, 0, 2]),
        ("plain", 48, q(0x100_0000).into()),
        ("plain", 48, q(0x3_0000).into()),
        ("plain", 40, q(0x100_0000).into()),
        ("plain", 40, q(0).into()),
        ("plain", 79, vec![1]),
        ("plain", 79, vec![2]),
        ("snapshot", L2 + 8, q(0x6_0200).into()),
        ("snapshot", 60, vec![0; 4]),
        ("snapshot", L1, q(0x8000_0000_0004_0000).into()),
        ("snapshot", 64, q(0).into()),
        ("old", L2 + 8, q(1).into()),
        ("old", L2 + 8, q(0x8000_0000_0006_0001).into()),
        ("narrow", 0x4008, q(0x8000_0000_0000_5000).into()),
        ("encrypted", BLOCK + 5 * 2, vec![0, 0]),
    ];
    for (name, at, bytes) in cases {
        let damaged = format!("{name}-damaged");
        shop.copy(name, &damaged);
        shop.patch(&damaged, &[(at, &bytes)]);
        assert_agreement(&shop, &damaged, &format!("{name} {at:#x} {bytes:x?}"));
    }
}

#[test]
fn snapshot_tables_are_judged_too() {
    let Some(shop) = workshop() else { return };
    let place = |name: &str, at: usize| {
        let bytes = shop.bytes(name);
        u64::from_be_bytes(*bytes[at..].first_chunk().unwrap())
    };
    let table = place("snapshot", 64);
    let l1 = place("snapshot", usize::try_from(table).unwrap());
    let q = u64::to_be_bytes;
    let cases: Vec<(u64, Vec<u8>)> = vec![
        (table + 36, vec![0, 0, 0, 15]),
        (table + 36, vec![0, 0, 0, 16]),
        (table + 36, vec![0, 0, 4, 1]),
        (table, q(1).into()),
        (table, q(1 << 63).into()),
        (table, q(0x100_0000).into()),
        (table + 8, vec![0x7f, 0xff, 0xff, 0xff]),
        (table + 8, vec![0, 0x40, 0, 1]),
        (table + 8, vec![0, 0, 0x20, 0]),
        (60, vec![0, 0, 0, 3]),
        (60, vec![0, 1, 0, 1]),
        (64, q(1).into()),
        (l1, q(0x4_0001).into()),
        (l1, q(0x4_0000).into()),
        (l1, q(0x8000_0000_0000_0000).into()),
        (L1, q(0x8000_0000_0000_0000).into()),
        (L1, q(1).into()),
    ];
    for (at, bytes) in cases {
        shop.copy("snapshot", "damaged");
        shop.patch("damaged", &[(at, &bytes)]);
        assert_agreement(&shop, "damaged", &format!("{at:#x} {bytes:x?}"));
    }
}

#[test]
fn files_of_any_length_are_judged_by_their_end() {
    let Some(shop) = workshop() else { return };
    for length in [
        0x8_0001,
        0x8_0000,
        0x7_ffff,
        0x5_0000,
        0x3_0008,
        112,
        1 << 30,
    ] {
        shop.copy("plain", "cut");
        let file = std::fs::File::options().write(true).open(shop.path("cut"));
        file.unwrap().set_len(length).unwrap();
        shop.patch("cut", &[]);
        assert_agreement(&shop, "cut", &format!("{length:#x} bytes"));
    }
}

#[test]
fn random_damage_is_told_in_the_real_words() {
    let Some(shop) = workshop() else { return };
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut pick = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % below
    };
    for round in 0..60 {
        let name = ["plain", "snapshot", "narrow", "small"][usize::try_from(pick(4)).unwrap()];
        shop.copy(name, "random");
        let bytes = shop.bytes(name);
        let mut patches = Vec::new();
        for _ in 0..=pick(3) {
            // Anywhere in the metadata at the start, where something is.
            let at = loop {
                let at = pick(bytes.len() as u64 / 8) * 8;
                let start = usize::try_from(at).unwrap();
                if at >= 512 && bytes[start..start + 8].iter().any(|&byte| byte != 0) {
                    break at;
                }
            };
            let start = usize::try_from(at).unwrap();
            let mut entry: [u8; 8] = bytes[start..start + 8].try_into().unwrap();
            let place = usize::try_from(pick(8)).unwrap();
            entry[place] ^= 1 << pick(8);
            patches.push((at, entry));
        }
        for (at, entry) in &patches {
            shop.patch("random", &[(*at, entry)]);
        }
        assert_agreement(
            &shop,
            "random",
            &format!("round {round}, {name} {patches:x?}"),
        );
    }
}

#[test]
fn a_bomb_of_tables_ends_soon_and_says_little() {
    let Some(shop) = Workshop::new() else { return };
    shop.img_line("create -q -f qcow2 bomb 1T");
    shop.io("bomb", &["write 0 64k", "write -c 64k 64k"]);
    // Every L1 entry names the one L2 table, whose every entry names the one compressed cluster.
    let bytes = shop.bytes("bomb");
    let entry = |at: usize| -> [u8; 8] { bytes[at..at + 8].try_into().unwrap() };
    let table = u64::from_be_bytes(entry(0x3_0000)) & 0x00ff_ffff_ffff_fe00;
    let compressed = entry(usize::try_from(table).unwrap() + 8);
    shop.patch(
        "bomb",
        &[
            (table, &compressed.repeat(8192)),
            (0x3_0000, &entry(0x3_0000).repeat(2048)),
        ],
    );
    let (lines, outcome) = ours(&shop, "bomb");
    let report = outcome.unwrap();
    assert!(lines.len() as u64 <= crate::base::limits::CHECK_MAX_LINES + 1);
    assert_eq!(report.allocated_clusters, 1 << 24);
    assert_eq!(report.compressed_clusters, 1 << 24);
    assert!(report.corruptions > 16_000_000, "{report:?}");
}
