use super::*;

fn extended() -> Geometry {
    Geometry::new(16, 4, true).unwrap()
}

fn entry(word: u64, bits: u64) -> L2Entry {
    L2Entry::from_raw(word).with_subclusters(SubclusterBits::from_raw(bits))
}

#[test]
fn runs_within_a_cluster() {
    let geometry = extended();
    let host = HostOffset::new(0x5_0000);
    // As the real tool wrote it: data in 0, 2 and 10, 11; zeros in 4 and 5.
    let entry = entry(0x8000_0000_0005_0000, 0x0000_0030_0000_0c05);
    let expected = [
        (0, Subcluster::Data(host), 1),
        (1, Subcluster::Unallocated(Some(host)), 1),
        (2, Subcluster::Data(host), 1),
        (3, Subcluster::Unallocated(Some(host)), 1),
        (4, Subcluster::Zero(Some(host)), 2),
        (6, Subcluster::Unallocated(Some(host)), 4),
        (10, Subcluster::Data(host), 2),
        (12, Subcluster::Unallocated(Some(host)), 20),
    ];
    for (index, kind, count) in expected {
        assert_eq!(entry.subclusters_from(&geometry, index), (kind, count));
    }
    assert_eq!(entry.subclusters().data_span(), Some(0..12));
}

#[test]
fn a_cluster_without_a_place() {
    let geometry = extended();
    assert_eq!(
        entry(0, 0xffff_ffff_0000_0000).subclusters_from(&geometry, 3),
        (Subcluster::Zero(None), 29)
    );
    assert_eq!(
        entry(0, 0x7_0000_0000).subclusters_from(&geometry, 3),
        (Subcluster::Unallocated(None), 29)
    );
    assert_eq!(L2Entry::zero_plain(&geometry), entry(0, ALL_ZERO.raw()));
}

#[test]
fn what_the_real_tool_calls_invalid() {
    let geometry = extended();
    let kind = |word, bits, index| entry(word, bits).subclusters_from(&geometry, index).0;
    // One contradiction spoils the whole cluster; so does data without a place.
    let contradictory = 0x0000_0001_0000_000f;
    assert_eq!(
        kind(0x8000_0000_0005_0000, contradictory, 5),
        Subcluster::Invalid
    );
    assert_eq!(kind(0, 0xf, 5), Subcluster::Invalid);
    // Bits of a compressed cluster mean nothing to a reader.
    assert!(matches!(
        kind(0x4000_0000_0005_0000, contradictory, 0),
        Subcluster::Compressed(_)
    ));
    // Bit 0 is no zero flag here.
    let host = HostOffset::new(0x6_0000);
    assert_eq!(kind(0x8000_0000_0006_0001, 3, 0), Subcluster::Data(host));
}

#[test]
fn bits_are_set_in_ranges() {
    let bits = SubclusterBits::from_raw(0x0000_0030_0000_0c05);
    assert_eq!(bits.with_data(&(4..5)).raw(), 0x0000_0020_0000_0c15);
    assert_eq!(bits.with_zeros(&(2..11)).raw(), 0x0000_07fc_0000_0801);
    assert_eq!(bits.with_zeros(&(0..32)), ALL_ZERO);
    assert_eq!(bits.with_data(&(0..32)).raw(), 0xffff_ffff);
    assert!(bits.all_data(&(10..12)));
    assert!(!bits.all_data(&(10..13)));
    assert_eq!(ALL_ZERO.data_span(), None);
}

#[test]
fn a_standard_cluster_is_its_own_subcluster() {
    let geometry = Geometry::new(9, 4, false).unwrap();
    assert_eq!(
        (geometry.subclusters(), geometry.subcluster_size()),
        (1, 512)
    );
    let host = HostOffset::new(0x1000);
    assert_eq!(
        L2Entry::from_raw(0x1001).subclusters_from(&geometry, 0),
        (Subcluster::Zero(Some(host)), 1)
    );
    assert_eq!(
        L2Entry::from_raw(0x1000).subclusters_from(&geometry, 0),
        (Subcluster::Data(host), 1)
    );
}
