use super::*;

#[test]
fn default_geometry() {
    let geometry = Geometry::new(16, 4, false).unwrap();
    assert_eq!(geometry.l2_entries(), 8192);
    assert_eq!(geometry.l2_coverage(), 512 << 20);
    assert_eq!(geometry.refcount_block_entries(), 32768);
    assert_eq!(geometry.refcount_max(), 65535);
    assert_eq!(geometry.l1_entries_for((512 << 20) + 1), 2);
    let offset = GuestOffset::new((512 << 20) + 3 * 65536 + 7);
    assert_eq!(geometry.l1_index(offset), 1);
    assert_eq!(geometry.l2_index(offset), 3);
    assert_eq!(geometry.in_cluster(offset), 7);
    // qcow2 §6, errata recipe 8: guest cluster 8192 of a 64 MiB image.
    assert_eq!(geometry.vm_state_start(64 << 20).bytes(), 8192 * 65536);
}

#[test]
fn extremes() {
    let small = Geometry::new(9, 6, false).unwrap();
    assert_eq!(small.l2_entries(), 64);
    assert_eq!(small.refcount_block_entries(), 64);
    assert_eq!(small.refcount_max(), u64::MAX);
    let large = Geometry::new(21, 0, false).unwrap();
    assert_eq!(large.refcount_block_entries(), 1 << 24);
    assert_eq!(large.refcount_max(), 1);
    assert_eq!(Geometry::new(16, 4, true).unwrap().l2_entries(), 4096);
    for (bits, order, extended) in [(8, 4, false), (22, 4, false), (16, 7, false), (13, 4, true)] {
        assert_eq!(Geometry::new(bits, order, extended), None);
    }
}
