use super::*;

#[test]
fn every_type_of_the_table() {
    let geometry = Geometry::new(16, 4, false).unwrap();
    let host = HostOffset::new(0x5_0000);
    let cluster = |raw| L2Entry::from_raw(raw).cluster(&geometry);
    assert_eq!(cluster(0), Cluster::Unallocated);
    assert_eq!(cluster(1), Cluster::ZeroPlain);
    assert_eq!(cluster(0x8000_0000_0005_0001), Cluster::ZeroAllocated(host));
    assert_eq!(cluster(0x8000_0000_0005_0000), Cluster::Normal(host));
    assert_eq!(cluster(0x5_0000), Cluster::Normal(host));
    // errata 49: reserved bits are ignored at run time.
    assert_eq!(cluster(0xbf00_0000_0005_01fe), Cluster::Normal(host));
    // errata 52: COPIED without an offset is unallocated.
    assert_eq!(cluster(1 << 63), Cluster::Unallocated);
    assert!(matches!(
        cluster(1 << 62 | 0x5_0000),
        Cluster::Compressed(_)
    ));
    assert_eq!(
        L2Entry::from_raw(0xbf00_0000_0005_01fe).reserved_bits(3),
        0x3f00_0000_0000_01fe
    );
    assert_eq!(L2Entry::from_raw(1).reserved_bits(2), 1);
}

#[test]
fn tables_are_big_endian() {
    let mut table = [0u8; 32];
    let geometry = Geometry::new(16, 4, false).unwrap();
    assert!(write(
        &geometry,
        &mut table,
        1,
        L2Entry::data(HostOffset::new(0x5_0000))
    ));
    assert_eq!(table[8..16], [0x80, 0, 0, 0, 0, 5, 0, 0]);
    assert_eq!(
        read(&geometry, &table, 1).map(L2Entry::raw),
        Some(0x8000_0000_0005_0000)
    );
    assert_eq!(read(&geometry, &table, 4), None);
    assert!(!write(&geometry, &mut table, 4, L2Entry::EMPTY));
}
