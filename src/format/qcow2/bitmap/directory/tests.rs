use super::{BitmapFlags, DirectoryEntry, encode, parse};
use crate::base::HostOffset;
use crate::format::qcow2::Geometry;
use crate::format::qcow2::bitmap::table::TableEntry;
use crate::format::qcow2::bitmap::{BitmapError, BitmapsExtension};

/// A directory that qemu-img 10.0.2 wrote: `b0` enabled with data, `b1` disabled; a disk of 10 MiB.
const REAL: [u8; 64] = [
    0, 0, 0, 0, 0, 0x1a, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 1, 16, 0, 2, 0, 0, 0, 0, b'b', b'0', 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x1b, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 16, 0, 2, 0, 0, 0, 0, b'b',
    b'1', 0, 0, 0, 0, 0, 0,
];

fn read(bytes: &[u8], count: u32) -> Result<Vec<DirectoryEntry>, BitmapError> {
    let geometry = Geometry::new(16, 4, false).unwrap();
    parse(bytes, count, &geometry, 10 << 20)
}

#[test]
fn the_real_tools_directory() {
    let entries = read(&REAL, 2).unwrap();
    let names: Vec<_> = entries.iter().map(DirectoryEntry::text).collect();
    assert_eq!(names, ["b0", "b1"]);
    assert_eq!(entries[0].flags, BitmapFlags::ENABLED);
    assert_eq!(entries[1].flags, BitmapFlags::empty());
    assert_eq!(entries[1].table_offset, HostOffset::new(0x1b_0000));
    assert_eq!(encode(&entries), REAL);
}

#[test]
fn one_fault_each() {
    let constraints = |name: &str| BitmapError::Constraints(name.to_owned());
    // The words were seen with the same bytes in an image (qcow2 §7).
    let faults: [(usize, &[u8], BitmapError); 13] = [
        (12, &[0, 0, 0, 6], constraints("b0")),
        (16, &[2], constraints("b0")),
        (17, &[8], constraints("b0")),
        (17, &[32], constraints("b0")),
        (20, &[0, 0, 0, 8], BitmapError::ExtraData),
        (20, &[0xff, 0, 0, 0], BitmapError::ExtraData),
        (20, &[0, 0x10, 0, 0], BitmapError::DirectoryBroken),
        (0, &[0; 8], constraints("b0")),
        (6, &[2, 0], constraints("b0")),
        (8, &[0; 4], constraints("b0")),
        (8, &[8, 0, 0, 1], constraints("b0")),
        (8, &[0, 0, 0x20, 1], constraints("b0")),
        (18, &[4, 0], BitmapError::DirectoryBroken),
    ];
    for (at, bytes, expected) in faults {
        let mut broken = REAL;
        broken[at..at + bytes.len()].copy_from_slice(bytes);
        assert_eq!(read(&broken, 2), Err(expected), "{at}: {bytes:?}");
    }
    assert_eq!(read(&REAL, 1), Err(BitmapError::MoreThanCounted));
    assert_eq!(read(&REAL, 3), Err(BitmapError::FewerThanCounted));
    assert_eq!(read(&REAL[..16], 2), Err(BitmapError::DirectoryBroken));
    assert_eq!(read(&REAL[..56], 2), Err(BitmapError::DirectoryBroken));
}

#[test]
fn a_name_ends_at_its_first_nul() {
    let mut bytes = REAL;
    bytes[25] = 0;
    assert_eq!(read(&bytes, 2).unwrap()[0].text(), "b");
}

#[test]
fn table_entries() {
    let parse = |raw| TableEntry::parse(raw, 0x10000);
    assert_eq!(parse(0), Some(TableEntry::Zeros));
    assert_eq!(parse(1), Some(TableEntry::Ones));
    let stored = TableEntry::Stored(HostOffset::new(0x19_0000));
    assert_eq!(parse(0x19_0000), Some(stored));
    for wrong in [0x19_0001, 0x19_0200, 2, 0x8000_0000_0019_0000] {
        assert_eq!(parse(wrong), None, "{wrong:#x}");
    }
}

#[test]
fn extension_faults() {
    let good = BitmapsExtension {
        count: 2,
        directory_bytes: 64,
        directory_offset: HostOffset::new(0x8_0000),
    };
    let data = good.encode();
    assert_eq!(BitmapsExtension::parse(&data, 65536), Ok(good));
    let faults: [(usize, &[u8], BitmapError); 5] = [
        (4, &[0, 0, 0, 1], BitmapError::ExtensionReserved),
        (0, &[0; 4], BitmapError::NoBitmaps),
        (0, &[0, 1, 0, 0], BitmapError::TooMany(65536)),
        (23, &[1], BitmapError::DirectoryOffset),
        (
            8,
            &[0, 0, 0, 0, 4, 0, 0, 8],
            BitmapError::DirectoryTooLarge(67_108_872),
        ),
    ];
    for (at, bytes, expected) in faults {
        let mut broken = data.clone();
        broken[at..at + bytes.len()].copy_from_slice(bytes);
        assert_eq!(BitmapsExtension::parse(&broken, 65536), Err(expected));
    }
    assert_eq!(
        BitmapsExtension::parse(&data[..16], 65536),
        Err(BitmapError::ExtensionLength)
    );
}
