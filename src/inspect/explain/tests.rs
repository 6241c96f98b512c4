use std::sync::Arc;

use super::*;
use crate::base::HostOffset;
use crate::driver::memory::Memory;
use crate::driver::qcow2::workshop::Workshop;
use crate::node::Repair;

/// Where a fresh image of the real tools with 64 KiB clusters has its tables (qcow2 §10).
const REFCOUNT_TABLE: usize = 0x1_0000;
const BLOCK: usize = 0x2_0000;
const L1: usize = 0x3_0000;
const L2: usize = 0x4_0000;
const COPIED: u64 = 1 << 63;

fn image(shop: &Workshop, snapshot: bool) -> Vec<u8> {
    shop.img_line("create -q -f qcow2 image 1M");
    shop.io("image", &["write -P 1 0 192k"]);
    if snapshot {
        shop.img_line("snapshot -c before image");
        shop.io("image", &["write -P 2 64k 64k"]);
    }
    shop.bytes("image")
}

fn put(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_be_bytes());
}

fn count(bytes: &mut [u8], cluster: usize, value: u16) {
    let at = BLOCK + 2 * cluster;
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(*bytes[at..].first_chunk().unwrap())
}

fn file(bytes: &[u8]) -> HostFile {
    HostFile::new(Arc::new(Memory::new(bytes.to_vec(), u64::MAX)))
}

fn problems(bytes: &[u8]) -> Vec<Problem> {
    explain(&file(bytes)).unwrap().problems
}

fn claim(owner: Owner, state: Option<u32>) -> Claim {
    Claim { owner, state }
}

/// The one problem with a fault.
fn only(bytes: &[u8], fault: Fault) -> Problem {
    let found = problems(bytes);
    let mut fitting = found.iter().filter(|problem| problem.fault == fault);
    let first = fitting.next().unwrap_or_else(|| panic!("{found:?}"));
    assert!(fitting.next().is_none(), "{found:?}");
    first.clone()
}

#[test]
fn a_healthy_image_has_no_problem() {
    let Some(shop) = Workshop::new() else { return };
    for snapshot in [false, true] {
        let bytes = image(&shop, snapshot);
        assert_eq!(problems(&bytes), []);
    }
    shop.io("image", &["write -c 256k 64k", "write -c 320k 64k"]);
    assert_eq!(problems(&shop.bytes("image")), []);
    shop.img_line("bitmap --add -g 512 image b");
    shop.io("image", &["write 0 64k"]);
    assert_eq!(problems(&shop.bytes("image")), []);
}

#[test]
fn metadata_that_an_entry_names_is_an_overlap() {
    let Some(shop) = Workshop::new() else { return };
    let healthy = image(&shop, false);
    for (place, owner, state) in [
        (REFCOUNT_TABLE, Owner::RefcountTable, None),
        (BLOCK, Owner::RefcountBlock(0), None),
        (L1, Owner::L1, Some(0)),
        (L2, Owner::L2(0), Some(0)),
    ] {
        let mut bytes = healthy.clone();
        put(&mut bytes, L2 + 8, COPIED | place as u64);
        let problem = only(&bytes, Fault::Overlap);
        assert_eq!(problem.cluster, place as u64 >> 16);
        assert_eq!(
            problem.owners,
            [claim(owner, state), claim(Owner::Data(0x1_0000), Some(0))]
        );
        assert!(
            problem.guest.contains(&(0, 0x1_0000..0x2_0000)),
            "{problem:?}"
        );
        // The cluster that the entry named before is nobody's now.
        assert_eq!(only(&bytes, Fault::Leak).cluster, 6);
    }
}

#[test]
fn a_table_over_the_header_is_an_overlap() {
    let Some(shop) = Workshop::new() else { return };
    let mut bytes = image(&shop, false);
    put(&mut bytes, 40, 0);
    let found = problems(&bytes);
    let header = found.iter().find(|problem| problem.cluster == 0).unwrap();
    assert_eq!(header.fault, Fault::Overlap);
    assert_eq!(
        header.owners,
        [claim(Owner::Header, None), claim(Owner::L1, Some(0))]
    );
    assert_eq!(header.guest, [(0, 0..1 << 20)]);
}

#[test]
fn one_cluster_for_two_guest_clusters_is_an_overlap() {
    let Some(shop) = Workshop::new() else { return };
    let mut bytes = image(&shop, false);
    put(&mut bytes, L2 + 8, COPIED | 0x5_0000);
    let problem = only(&bytes, Fault::Overlap);
    assert_eq!(
        (problem.cluster, problem.refcount, problem.references),
        (5, 1, 2)
    );
    assert_eq!(problem.guest, [(0, 0..0x1_0000), (0, 0x1_0000..0x2_0000)]);
}

#[test]
fn two_l1_entries_with_one_table_are_an_overlap() {
    let Some(shop) = Workshop::new() else { return };
    shop.img_line("create -q -f qcow2 large 1G");
    shop.io("large", &["write 0 64k"]);
    let mut bytes = shop.bytes("large");
    let first = number(&bytes, L1);
    put(&mut bytes, L1 + 8, first);
    let found = problems(&bytes);
    let table = found.iter().find(|problem| problem.cluster == 4).unwrap();
    assert_eq!(table.fault, Fault::Overlap);
    assert_eq!(table.guest, [(0, 0..512 << 20), (0, 512 << 20..1 << 30)]);
}

#[test]
fn wrong_counts_are_named() {
    let Some(shop) = Workshop::new() else { return };
    let mut bytes = image(&shop, false);
    count(&mut bytes, 5, 3);
    count(&mut bytes, 6, 0);
    let leak = only(&bytes, Fault::Leak);
    assert_eq!((leak.cluster, leak.refcount, leak.references), (5, 3, 1));
    assert_eq!(leak.guest, []);
    let low = only(&bytes, Fault::CountedTooLow);
    assert_eq!((low.cluster, low.refcount, low.references), (6, 0, 1));
    assert_eq!(low.guest, [(0, 0x1_0000..0x2_0000)]);
}

#[test]
fn a_lost_refcount_block_leaves_everything_uncounted() {
    let Some(shop) = Workshop::new() else { return };
    let mut bytes = image(&shop, false);
    put(&mut bytes, REFCOUNT_TABLE, 0);
    let low: Vec<u64> = problems(&bytes)
        .iter()
        .map(|problem| problem.cluster)
        .collect();
    assert_eq!(low, [0, 1, 3, 4, 5, 6, 7]);
}

#[test]
fn places_that_can_not_be_are_named_by_the_entry() {
    let Some(shop) = Workshop::new() else { return };
    let healthy = image(&shop, false);
    let data = claim(Owner::Data(0x1_0000), Some(0));
    for (at, value, fault, offset, owner) in [
        (L2 + 8, COPIED | 0x6_0200, Fault::Unaligned, 0x6_0200, &data),
        (
            L2 + 8,
            COPIED | 0x100_0000,
            Fault::BehindEnd,
            0x100_0000,
            &data,
        ),
        (
            L2 + 8,
            COPIED | 0x6_001e,
            Fault::ReservedBits,
            0x6_0000,
            &data,
        ),
        (
            L1,
            COPIED | 0x4_0200,
            Fault::Unaligned,
            0x4_0200,
            &claim(Owner::L2(0), Some(0)),
        ),
        (
            L1,
            COPIED | 0x4_0001,
            Fault::ReservedBits,
            0x4_0000,
            &claim(Owner::L2(0), Some(0)),
        ),
        (
            REFCOUNT_TABLE,
            0x2_0200,
            Fault::Unaligned,
            0x2_0200,
            &claim(Owner::RefcountBlock(0), None),
        ),
        (
            REFCOUNT_TABLE,
            0x2_0001,
            Fault::ReservedBits,
            0x2_0000,
            &claim(Owner::RefcountBlock(0), None),
        ),
    ] {
        let mut bytes = healthy.clone();
        put(&mut bytes, at, value);
        let problem = only(&bytes, fault);
        assert_eq!(problem.offset, offset);
        assert_eq!(problem.owners, std::slice::from_ref(owner));
    }
}

#[test]
fn a_snapshot_s_part_is_told_by_its_name() {
    let Some(shop) = Workshop::new() else { return };
    let mut bytes = image(&shop, true);
    let table = usize::try_from(number(&bytes, 64)).unwrap();
    let l1 = usize::try_from(number(&bytes, table)).unwrap();
    let l2 = usize::try_from(number(&bytes, l1) & 0x00ff_ffff_ffff_fe00).unwrap();
    let active = usize::try_from(number(&bytes, L1) & 0x00ff_ffff_ffff_fe00).unwrap();
    let shared = number(&bytes, active + 8) & 0x00ff_ffff_ffff_fe00;
    // The snapshot's second cluster becomes what the active disk has as its second now: the same guest offset, so
    // that sharing it is legal, but counted too low.
    put(&mut bytes, l2 + 8, shared);
    let low = only(&bytes, Fault::CountedTooLow);
    assert_eq!(low.offset, shared);
    assert_eq!(
        low.guest,
        [(0, 0x1_0000..0x2_0000), (1, 0x1_0000..0x2_0000)]
    );
    // Its third one instead: now two guest offsets are in one place.
    put(&mut bytes, l2 + 16, shared);
    let overlap = only(&bytes, Fault::Overlap);
    assert!(
        overlap.guest.contains(&(1, 0x2_0000..0x3_0000)),
        "{overlap:?}"
    );
    let states = explain(&file(&bytes)).unwrap().states;
    assert_eq!(states[1].name, "snapshot 1 (before)");
}

#[test]
fn a_dry_run_says_what_a_repair_does_and_changes_nothing() {
    let Some(shop) = Workshop::new() else { return };
    let mut bytes = image(&shop, false);
    bytes.resize(0x9_0000, 0);
    count(&mut bytes, 8, 1);
    let leaks = dry_run(&file(&bytes), Repair::Leaks).unwrap();
    assert_eq!(leaks.fixed.leaks_fixed, 1, "{leaks:?}");
    assert_eq!(leaks.left.unwrap().leaks, 0, "{leaks:?}");
    count(&mut bytes, 6, 0);
    let damaged = file(&bytes);
    let all = dry_run(&damaged, Repair::All).unwrap();
    let left = all.left.unwrap();
    assert_eq!((left.corruptions, left.leaks), (0, 0), "{all:?}");
    assert!(
        all.lines
            .iter()
            .any(|line| line == "Rebuilding refcount structure"),
        "{all:?}"
    );
    let after = damaged.read_vec(HostOffset::ZERO, bytes.len()).unwrap();
    assert!(after == bytes, "the file was changed");
}

#[test]
fn a_bomb_is_refused_or_ends_soon() {
    let Some(shop) = Workshop::new() else { return };
    shop.img_line("create -q -f qcow2 bomb 1T");
    shop.io("bomb", &["write 0 64k"]);
    let mut bytes = shop.bytes("bomb");
    let table = usize::try_from(number(&bytes, L1) & 0x00ff_ffff_ffff_fe00).unwrap();
    let data = number(&bytes, table);
    let first = number(&bytes, L1);
    for index in 0..8192 {
        put(&mut bytes, table + 8 * index, data);
    }
    for index in 0..2048 {
        put(&mut bytes, L1 + 8 * index, first);
    }
    // 16 million uses of one cluster.
    assert!(explain(&file(&bytes)).is_err());
}
