use super::*;
use std::collections::HashMap;

struct Plain {
    l1: Vec<u64>,
    l2: HashMap<u64, Vec<u8>>,
}

impl Tables for Plain {
    fn l1_entry(&self, index: u64) -> L1Entry {
        L1Entry::from_raw(
            usize::try_from(index)
                .ok()
                .and_then(|i| self.l1.get(i).copied())
                .unwrap_or(0),
        )
    }
    fn l2_table(&self, offset: HostOffset) -> Option<&[u8]> {
        self.l2.get(&offset.bytes()).map(Vec::as_slice)
    }
}

fn table(entries: &[u64]) -> Vec<u8> {
    let mut bytes = vec![0; 512];
    for (index, entry) in entries.iter().enumerate() {
        bytes[index * 8..index * 8 + 8].copy_from_slice(&entry.to_be_bytes());
    }
    bytes
}

fn ask(tables: &Plain, version: u32, offset: u64, length: u64) -> Lookup {
    let geometry = Geometry::new(9, 4, false).unwrap();
    lookup(&geometry, version, tables, GuestOffset::new(offset), length)
}

fn run(length: u64, mapping: Mapping) -> Lookup {
    Lookup::Run(Run { length, mapping })
}

#[test]
fn runs_of_each_kind() {
    let copied = 1u64 << 63;
    let tables = Plain {
        l1: vec![copied | 0x800, 0, 0, copied | 0xa00],
        l2: HashMap::from([(
            0x800,
            table(&[
                copied | 0x1000,
                0x1200,
                0x2000,
                1,
                1,
                0x3001,
                0x3201,
                0,
                0,
                1 << 62 | 0x4007,
            ]),
        )]),
    };
    assert_eq!(
        ask(&tables, 3, 100, 9999),
        run(924, Mapping::Data(HostOffset::new(0x1064)))
    );
    assert_eq!(
        ask(&tables, 3, 100, 10),
        run(10, Mapping::Data(HostOffset::new(0x1064)))
    );
    assert_eq!(
        ask(&tables, 3, 1024, 9999),
        run(512, Mapping::Data(HostOffset::new(0x2000)))
    );
    assert_eq!(ask(&tables, 3, 1536, 9999), run(1024, Mapping::Zero(None)));
    assert_eq!(
        ask(&tables, 3, 2561, 9999),
        run(1023, Mapping::Zero(Some(HostOffset::new(0x3001))))
    );
    assert_eq!(
        ask(&tables, 3, 3584, 9999),
        run(1024, Mapping::Unallocated(None))
    );
    assert!(matches!(
        ask(&tables, 3, 4608, 9999),
        Lookup::Run(Run { length: 512, mapping: Mapping::Compressed(descriptor) }) if descriptor.host == HostOffset::new(0x4007)
    ));
    // Two missing tables in a row, then one that is not loaded.
    assert_eq!(
        ask(&tables, 3, 32768 + 5, 1 << 40),
        run(65536 - 5, Mapping::Unallocated(None))
    );
    assert_eq!(
        ask(&tables, 3, 3 * 32768, 1),
        Lookup::Need(HostOffset::new(0xa00))
    );
    // Past the L1 table there is nothing.
    assert_eq!(
        ask(&tables, 3, 4 * 32768, 4096),
        run(4096, Mapping::Unallocated(None))
    );
}

#[test]
fn broken_entries_in_the_real_tools_words() {
    let geometry = Geometry::new(16, 4, false).unwrap();
    let mut l2 = table(&[0x5_0200, 1]);
    l2.resize(65536, 0);
    let tables = Plain {
        l1: vec![0x4_0200, 0x4_0000],
        l2: HashMap::from([(0x4_0000, l2)]),
    };
    let words = |version, offset| match lookup(
        &geometry,
        version,
        &tables,
        GuestOffset::new(offset),
        512,
    ) {
        Lookup::Corrupt(corruption) => corruption.to_string(),
        other => format!("{other:?}"),
    };
    assert_eq!(
        words(3, 0),
        "L2 table offset 0x40200 unaligned (L1 index: 0)"
    );
    assert_eq!(
        words(3, 512 << 20),
        "Cluster allocation offset 0x50200 unaligned (L2 offset: 0x40000, L2 index: 0)"
    );
    assert_eq!(
        words(2, (512 << 20) + 65536),
        "Zero cluster entry found in pre-v3 image (L2 offset: 0x40000, L2 index: 0x1)"
    );
}
