use super::*;

#[test]
fn a_guest_offset_splits_as_the_specification_says() {
    let geometry = Geometry::new(12, 9, 8, (16 << 20) + 5);
    let guest = GuestOffset::new((3 << 21) | (77 << 12) | 0x7b);
    assert_eq!(geometry.l1_index(guest), 3);
    assert_eq!(geometry.l2_index(guest), 77);
    assert_eq!(geometry.within_cluster(guest), 0x7b);
    assert_eq!(
        geometry.cluster_start(guest).bytes(),
        (3 << 21) | (77 << 12)
    );
    assert_eq!(geometry.l1_entry_covers(), 2 << 20);
    assert_eq!(geometry.l2_bytes(), 4096);
    assert_eq!(geometry.size(), 16 << 20);
}

#[test]
fn an_l1_entry_past_the_address_space_is_an_error() {
    let geometry = Geometry::new(12, 9, 8, 16 << 20);
    assert!(
        geometry
            .l1_entry_place(HostOffset::new(u64::MAX - 7), 1)
            .is_err()
    );
    let place = geometry.l1_entry_place(HostOffset::new(48), 2).unwrap();
    assert_eq!(place, HostOffset::new(64));
}
