use super::*;

fn geometry(order: u32) -> Geometry {
    Geometry::new(9, order, false).unwrap()
}

#[test]
fn narrow_widths_start_at_the_low_bit() {
    let mut block = [0u8; 512];
    for index in 0..4 {
        assert!(write(&geometry(0), &mut block, index, 1));
    }
    // qcow2 §4: refcount_bits=1, clusters 0-3 used.
    assert_eq!(block[0], 0x0f);
    let mut block = [0u8; 512];
    assert!(write(&geometry(1), &mut block, 1, 2));
    assert_eq!(block[0], 0b1000);
    assert!(write(&geometry(2), &mut block, 1, 0xa));
    assert_eq!(block[0], 0xa8);
}

#[test]
fn every_width_against_a_plain_vector() {
    for order in 0..=6 {
        let geometry = geometry(order);
        let entries = usize::try_from(geometry.refcount_block_entries()).unwrap();
        let mut block = vec![0u8; 512];
        let mut plain = vec![0u64; entries];
        let mut seed = 0x9e37_79b9_7f4a_7c15u64;
        for _ in 0..4000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let index = usize::try_from(seed >> 33).unwrap() % entries;
            let value = seed.rotate_left(17) & geometry.refcount_max();
            plain[index] = value;
            assert!(write(&geometry, &mut block, index, value));
        }
        for (index, value) in plain.iter().enumerate() {
            assert_eq!(read(&geometry, &block, index), Some(*value));
        }
        assert_eq!(read(&geometry, &block, entries), None);
        assert_eq!(
            next_free(&geometry, &block, 3),
            (3..entries).find(|index| plain[*index] == 0)
        );
        assert_eq!(
            next_used(&geometry, &block, 3),
            (3..entries).find(|index| plain[*index] != 0)
        );
    }
}

#[test]
fn values_beyond_the_width_are_refused() {
    for order in 0..6 {
        let geometry = geometry(order);
        let mut block = vec![0u8; 512];
        assert!(!write(
            &geometry,
            &mut block,
            0,
            geometry.refcount_max() + 1
        ));
        assert!(block.iter().all(|byte| *byte == 0));
    }
}

#[test]
fn changed_bytes() {
    assert_eq!(byte_range(&geometry(4), 3, 2), 6..10);
    assert_eq!(byte_range(&geometry(0), 7, 2), 0..2);
    assert_eq!(byte_range(&geometry(6), 1, 1), 8..16);
}
