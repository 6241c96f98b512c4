use super::*;

#[test]
fn an_entry_that_the_real_tool_wrote() {
    // errata recipe 6: 65536 equal bytes, one sector at 0x260000.
    let geometry = Geometry::new(16, 4, false).unwrap();
    let descriptor = CompressedDescriptor::from_raw(&geometry, 0x4000_0000_0026_0000);
    assert_eq!(descriptor.host, HostOffset::new(0x26_0000));
    assert_eq!(descriptor.length, 512);
    assert_eq!(
        descriptor.host_clusters(&geometry),
        (HostCluster::new(0x26), 1)
    );
}

#[test]
fn encoding_inverts_decoding() {
    for bits in 9..=21 {
        let geometry = Geometry::new(bits, 4, false).unwrap();
        let cluster = geometry.cluster_size();
        for (host, length) in [
            (cluster * 7, 1),
            (cluster * 7 + 79, 79),
            (cluster * 9 - 3, cluster - 1),
            // Ends with a sector.
            (cluster * 7 + 100, 412),
        ] {
            let raw =
                CompressedDescriptor::encode(&geometry, HostOffset::new(host), length).unwrap();
            let decoded = CompressedDescriptor::from_raw(&geometry, raw | 1 << 62);
            assert_eq!(decoded.host.bytes(), host);
            assert!(decoded.length >= length && decoded.length < length + 512);
            assert_eq!((host + decoded.length) % 512, 0);
        }
        let beyond = HostOffset::new(CompressedDescriptor::offset_max(&geometry) + 1);
        assert_eq!(CompressedDescriptor::encode(&geometry, beyond, 1), None);
        assert_eq!(
            CompressedDescriptor::encode(&geometry, HostOffset::ZERO, 2 * cluster + 1),
            None
        );
    }
}

#[test]
fn data_over_a_border_refers_to_both_clusters() {
    let geometry = Geometry::new(12, 4, false).unwrap();
    let clusters = |host, length| {
        let host = HostOffset::new(host);
        CompressedDescriptor { host, length }.host_clusters(&geometry)
    };
    assert_eq!(clusters(0x5000, 0x1000), (HostCluster::new(5), 1));
    assert_eq!(clusters(0x5e00, 0x200), (HostCluster::new(5), 1));
    assert_eq!(clusters(0x5e00, 0x400), (HostCluster::new(5), 2));
    assert_eq!(clusters(0x5fff, 0x1002), (HostCluster::new(5), 3));
}
