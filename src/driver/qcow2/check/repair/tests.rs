use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

use super::super::tests::{BLOCK, L1, L2, REFCOUNT_TABLE, workshop};
use crate::base::Result;
use crate::driver::qcow2::Qcow2OpenOptions;
use crate::driver::qcow2::workshop::{Workshop, assert_same_bytes};
use crate::node::{CheckReport, Node, Notices, Repair};

/// What `check -r` does: a repair, and a second look when it repaired anything.
fn ours(shop: &Workshop, name: &str, repair: Repair) -> (Vec<String>, Result<CheckReport>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let options = Qcow2OpenOptions {
        check: true,
        writable: true,
        notices: Notices::to(move |line| sink.lock().push(line.to_owned())),
        ..Qcow2OpenOptions::default()
    };
    let mut say = |line: &str| lines.lock().push(line.to_owned());
    let outcome = shop.try_open(name, &options).and_then(|image| {
        let outcome = image.check(repair, &mut say).and_then(|fixed| {
            if fixed.corruptions_fixed + fixed.leaks_fixed == 0 {
                return Ok(fixed);
            }
            let again = image.check(Repair::Nothing, &mut say)?;
            Ok(CheckReport {
                corruptions_fixed: fixed.corruptions_fixed,
                leaks_fixed: fixed.leaks_fixed,
                ..again
            })
        });
        image.close()?;
        outcome
    });
    let said = lines.lock().clone();
    (said, outcome)
}

fn real(shop: &Workshop, name: &str, repair: Repair) -> (Vec<String>, Option<Value>) {
    let repair = if repair == Repair::All {
        "all"
    } else {
        "leaks"
    };
    let arguments = ["check", "--output=json", "-r", repair, name];
    let output = shop.try_tool("qemu-img", &arguments);
    let said = String::from_utf8_lossy(&output.stderr)
        .lines()
        .filter(|line| !line.starts_with("qemu-img: ") && !line.starts_with("You can "))
        .map(str::to_owned)
        .collect();
    (said, serde_json::from_slice(&output.stdout).ok())
}

fn assert_same_repair(shop: &Workshop, source: &str, patches: &[(u64, &[u8])]) {
    for repair in [Repair::Leaks, Repair::All] {
        let what = format!("{source} {patches:x?} {repair:?}");
        for copy in ["real-copy", "our-copy"] {
            shop.copy(source, copy);
            shop.patch(copy, patches);
        }
        let (real_lines, json) = real(shop, "real-copy", repair);
        let (lines, outcome) = ours(shop, "our-copy", repair);
        assert!(
            lines == real_lines,
            "{what}: ours\n{}\nreal\n{}\n{outcome:?}",
            lines.join("\n"),
            real_lines.join("\n")
        );
        match (json, outcome) {
            (None, outcome) => drop(outcome.expect_err(&what)),
            (Some(json), outcome) => {
                let report = outcome.expect(&what);
                let real = |key: &str| json.get(key).and_then(Value::as_u64).unwrap_or(0);
                for (key, count) in [
                    ("corruptions", report.corruptions),
                    ("leaks", report.leaks),
                    ("corruptions-fixed", report.corruptions_fixed),
                    ("leaks-fixed", report.leaks_fixed),
                    ("check-errors", report.check_errors),
                    ("image-end-offset", report.image_end_offset),
                ] {
                    assert_eq!(count, real(key), "{what}: {key}");
                }
            }
        }
        assert_same_bytes(&shop.bytes("our-copy"), &shop.bytes("real-copy"), &what);
    }
}

/// An image, and what is patched into it.
type Case = (&'static str, Vec<(u64, Vec<u8>)>);

#[test]
fn damage_is_repaired_as_by_the_real_tool() {
    let Some(shop) = workshop() else { return };
    let q = u64::to_be_bytes;
    let cases: Vec<Case> = vec![
        ("plain", vec![]),
        ("plain", vec![(BLOCK + 4 * 2, vec![0, 2])]),
        ("plain", vec![(BLOCK + 5 * 2, vec![0, 2])]),
        ("plain", vec![(BLOCK + 6 * 2, vec![0, 0])]),
        ("plain", vec![(BLOCK + 6 * 2, vec![0, 0, 0, 3])]),
        ("plain", vec![(BLOCK + 8 * 2, vec![0, 1])]),
        ("plain", vec![(L2 + 8, q(0x8000_0000_0005_0000).into())]),
        ("plain", vec![(L2 + 8, q(0x8000_0000_0000_0200).into())]),
        ("plain", vec![(L2 + 8, q(0x8000_0000_0100_0000).into())]),
        ("plain", vec![(L2 + 8, q(0x8000_0000_0006_0200).into())]),
        ("plain", vec![(L2 + 8, q(0x8000_0000_0006_0201).into())]),
        ("plain", vec![(L2 + 8, q(0xbf00_0000_0006_01fe).into())]),
        ("plain", vec![(L2 + 8 * 16, vec![0xc0])]),
        ("plain", vec![(L1, q(0xbf00_0000_0004_01ff).into())]),
        ("plain", vec![(L1, q(0x8000_0000_1000_0000).into())]),
        ("plain", vec![(L1, q(0x4_0000).into())]),
        ("plain", vec![(L2, q(0x5_0000).into())]),
        ("plain", vec![(REFCOUNT_TABLE, q(0x2_0001).into())]),
        ("plain", vec![(REFCOUNT_TABLE, q(0x2_0200).into())]),
        ("plain", vec![(REFCOUNT_TABLE, q(0).into())]),
        ("plain", vec![(REFCOUNT_TABLE + 8, q(0x2_0000).into())]),
        ("plain", vec![(REFCOUNT_TABLE + 8, q(0x5_0000).into())]),
        ("plain", vec![(56, vec![0; 4])]),
        ("plain", vec![(79, vec![1])]),
        ("plain", vec![(79, vec![3]), (BLOCK + 5 * 2, vec![0, 5])]),
        ("plain", vec![(79, vec![3]), (L2, q(0xa_0002).into())]),
        ("snapshot", vec![(L1, q(0x8000_0000_0004_0000).into())]),
        ("snapshot", vec![(BLOCK + 5 * 2, vec![0, 1])]),
        ("snapshot", vec![(BLOCK + 5 * 2, vec![0, 0])]),
        ("snapshot", vec![(60, vec![0; 4])]),
        ("small", vec![(0x400 + 5 * 8, q(0).into())]),
        ("small", vec![(56, vec![0; 4])]),
        ("narrow", vec![(0x4008, q(0x8000_0000_0000_5000).into())]),
    ];
    for (source, patches) in &cases {
        let patches: Vec<(u64, &[u8])> = patches
            .iter()
            .map(|(at, bytes)| (*at, bytes.as_slice()))
            .collect();
        assert_same_repair(&shop, source, &patches);
    }
}

#[test]
fn snapshot_tables_are_cut_and_completed() {
    let Some(shop) = workshop() else { return };
    shop.img_line("snapshot -c b snapshot");
    let bytes = shop.bytes("snapshot");
    let table = u64::from_be_bytes(bytes[64..72].try_into().unwrap());
    for (at, patch) in [
        (table + 36, vec![0, 0, 4, 1]),
        (60, vec![0, 0, 0, 3]),
        (64, 1_u64.to_be_bytes().to_vec()),
        (table, 1_u64.to_be_bytes().to_vec()),
    ] {
        assert_same_repair(&shop, "snapshot", &[(at, &patch)]);
    }
}

#[test]
fn a_dirty_image_is_repaired_when_it_is_opened_for_writing() {
    let Some(shop) = Workshop::new() else { return };
    shop.img_line("create -q -f qcow2 -o lazy_refcounts=on dirty 64M");
    shop.io("dirty", &["write -P 1 0 192k"]);
    shop.patch(
        "dirty",
        &[
            (79, &[1]),
            (BLOCK + 5 * 2, &[0, 0]),
            (BLOCK + 6 * 2, &[0, 4]),
        ],
    );
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let mut options = Qcow2OpenOptions {
        notices: Notices::to(move |line| sink.lock().push(line.to_owned())),
        ..Qcow2OpenOptions::default()
    };
    // Read-only it is used as it is.
    let image = shop.try_open("dirty", &options).unwrap();
    assert!(image.info().unwrap().dirty);
    image.close().unwrap();
    assert_eq!(*lines.lock(), Vec::<String>::new());
    options.writable = true;
    let image = shop.try_open("dirty", &options).unwrap();
    image.close().unwrap();
    assert_eq!(
        *lines.lock(),
        [
            "ERROR cluster 5 refcount=0 reference=1",
            "Leaked cluster 6 refcount=4 reference=1",
            "Rebuilding refcount structure",
            "Repairing cluster 1 refcount=1 reference=0",
            "Repairing cluster 2 refcount=1 reference=0",
        ]
    );
    shop.img_line("check -q dirty");
    assert_eq!(shop.bytes("dirty")[79], 0);
}

#[test]
fn what_repair_writes_to_a_freed_cluster_is_not_punched_away() {
    let Some(shop) = Workshop::new() else { return };
    shop.img_line("create -q -f qcow2 image 64M");
    shop.io("image", &["write -P 1 0 64k"]);
    // Cluster 6 leaks; cluster 7 is a table of one snapshot without the fields that version 3 asks for, which is
    // written anew to the first free cluster.
    shop.patch(
        "image",
        &[
            (60, &[0, 0, 0, 1]),
            (64, &[0, 0, 0, 0, 0, 7, 0, 0]),
            (BLOCK + 6 * 2, &[0, 1, 0, 1]),
            (0x7_ffff, &[0]),
        ],
    );
    let (lines, report) = ours(&shop, "image", Repair::All);
    assert_eq!(report.unwrap().corruptions, 0, "{lines:?}");
    shop.img_line("check -q image");
}

/// Damage as bits that flip in tables, where something is.
#[test]
fn random_damage_is_repaired_as_by_the_real_tool() {
    let Some(shop) = workshop() else { return };
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut pick = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % below
    };
    for _ in 0..40 {
        let name = ["plain", "snapshot", "narrow", "small"][usize::try_from(pick(4)).unwrap()];
        let bytes = shop.bytes(name);
        let mut patches = Vec::new();
        for _ in 0..=pick(2) {
            let at = loop {
                let at = pick(bytes.len() as u64 / 8) * 8;
                let start = usize::try_from(at).unwrap();
                if at >= 512 && bytes[start..start + 8].iter().any(|&byte| byte != 0) {
                    break at;
                }
            };
            let start = usize::try_from(at).unwrap();
            let mut entry: [u8; 8] = bytes[start..start + 8].try_into().unwrap();
            entry[usize::try_from(pick(8)).unwrap()] ^= 1 << pick(8);
            patches.push((at, entry));
        }
        let patches: Vec<(u64, &[u8])> = patches
            .iter()
            .map(|(at, entry)| (*at, entry.as_slice()))
            .collect();
        assert_same_repair(&shop, name, &patches);
    }
}
