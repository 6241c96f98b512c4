use super::*;
use crate::base::HostOffset;
use crate::format::qcow1::Header;

/// 512-byte clusters, 64 entries: one table covers 32 KiB.
fn geometry() -> Geometry {
    Header {
        backing_name_offset: HostOffset::ZERO,
        backing_name_size: 0,
        size: 1 << 20,
        cluster_bits: 9,
        l2_bits: 6,
        crypt_method: 0,
        l1_table_offset: HostOffset::new(48),
    }
    .geometry()
    .unwrap()
}

fn table(entries: &[u64]) -> Vec<u64> {
    let mut table = entries.to_vec();
    table.resize(64, 0);
    table
}

fn run(l2: Option<&[u64]>, guest: u64, length: u64) -> Result<(u64, Mapping), Misaligned> {
    lookup(&geometry(), l2, GuestOffset::new(guest), length).map(|run| (run.length, run.mapping))
}

#[test]
fn a_missing_table_is_one_unallocated_run() {
    assert_eq!(
        run(None, 512, 1 << 20),
        Ok((32768 - 512, Mapping::Unallocated))
    );
    assert_eq!(run(None, 512, 100), Ok((100, Mapping::Unallocated)));
}

#[test]
fn neighbours_in_the_file_are_one_run() {
    let l2 = table(&[0x1000, 0x1200, 0x1400, 0x2000, 0, 0, 0x2400]);
    let normal = |offset| Mapping::Normal(HostOffset::new(offset));
    assert_eq!(run(Some(&l2), 0, 32768), Ok((1536, normal(0x1000))));
    assert_eq!(run(Some(&l2), 100, 32768), Ok((1436, normal(0x1064))));
    assert_eq!(run(Some(&l2), 0, 1000), Ok((1000, normal(0x1000))));
    assert_eq!(run(Some(&l2), 1536, 32768), Ok((512, normal(0x2000))));
    assert_eq!(
        run(Some(&l2), 2048, 32768),
        Ok((1024, Mapping::Unallocated))
    );
    assert_eq!(
        run(Some(&l2), 3584, 99999),
        Ok((32768 - 3584, Mapping::Unallocated))
    );
}

#[test]
fn a_compressed_cluster_stands_alone() {
    let entry = (1 << 63) | (7 << 54) | 0x3001;
    let l2 = table(&[entry, entry]);
    let expected = Mapping::Compressed {
        offset: HostOffset::new(0x3001),
        length: 7,
    };
    assert_eq!(run(Some(&l2), 10, 4096), Ok((502, expected)));
}

#[test]
fn an_impossible_entry_stops_only_those_who_reach_it() {
    let l2 = table(&[0x1000, 0x1201]);
    assert_eq!(run(Some(&l2), 0, 4096).unwrap().0, 512);
    assert_eq!(run(Some(&l2), 512, 1), Err(Misaligned(0x1201)));
}
