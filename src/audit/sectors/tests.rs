use super::*;

fn sector(fill: u8) -> Vec<u8> {
    vec![fill; SECTOR_SIZE]
}

#[test]
fn a_common_beginning_is_rounded_down_to_blocks() {
    let one = sector(1);
    for (differs, equal) in [(0, 0), (15, 0), (16, 16), (40, 32), (511, 496)] {
        let mut other = one.clone();
        other[differs] = 9;
        let equality = compare(Comparison::Prefix, &mut [&one, &other]);
        assert_eq!(equality.equal_bytes, equal);
        assert!(equality.different && !equality.identical);
    }
    let equality = compare(Comparison::Prefix, &mut [&one, &one]);
    assert_eq!(equality.equal_bytes, 512);
    assert!(equality.identical && !equality.different);
}

#[test]
fn the_best_pair_of_many_copies_counts() {
    let (a, b) = (sector(1), sector(2));
    let mut c = sector(1);
    c[32..].fill(7);
    let equality = compare(Comparison::Prefix, &mut [&b, &c, &a]);
    assert_eq!(equality.equal_bytes, 32);
    assert!(equality.different && !equality.identical);
    let equality = compare(Comparison::Prefix, &mut [&a, &b, &a]);
    assert!(equality.identical && equality.different);
}

#[test]
fn positions_are_compared_each_for_itself() {
    let one = sector(1);
    let mut other = sector(2);
    other[64..80].fill(1);
    other[100..130].fill(1);
    // 64..80 whole; 112..128 lies inside 100..130.
    let equality = compare(Comparison::Positions, &mut [&one, &other]);
    assert_eq!(equality.equal_bytes, 32);
    assert_eq!(
        compare(Comparison::Prefix, &mut [&one, &other]).equal_bytes,
        0
    );
}

#[test]
fn repeated_blocks_are_found_and_zeros_are_none() {
    let mut bytes: Vec<u8> = (0..=255).collect();
    assert_eq!(repeated_block(&bytes, 8), None);
    bytes.extend(16..24);
    assert_eq!(repeated_block(&bytes, 8), Some((16, 256)));
    assert_eq!(repeated_block(&[0; 64], 16), None);
}
