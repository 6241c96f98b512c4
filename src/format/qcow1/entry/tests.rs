use proptest::prelude::*;

use super::*;

fn geometry(cluster_bits: u32) -> Geometry {
    Geometry::new(cluster_bits, 9, 1, 1 << 20)
}

#[test]
fn a_descriptor_written_by_the_real_tool() {
    // `write -c 0 4k`: the file is 8214 bytes long, the payload starts at 8192.
    let entry = 0x80b0_0000_0000_2000;
    let expected = Mapping::Compressed {
        offset: HostOffset::new(8192),
        length: 22,
    };
    assert_eq!(Mapping::decode(entry, &geometry(12)), Ok(expected));
}

#[test]
fn alignment_is_that_of_a_sector() {
    let geometry = geometry(12);
    assert_eq!(Mapping::decode(0, &geometry), Ok(Mapping::Unallocated));
    assert_eq!(
        Mapping::decode(0x2200, &geometry),
        Ok(Mapping::Normal(HostOffset::new(0x2200)))
    );
    assert_eq!(Mapping::decode(0x2201, &geometry), Err(Misaligned(0x2201)));
}

#[test]
fn what_does_not_fit_is_not_encoded() {
    let geometry = geometry(12);
    let at = |offset, length| Mapping::Compressed {
        offset: HostOffset::new(offset),
        length,
    };
    assert!(at((1 << 51) - 1, 4095).encode(&geometry).is_some());
    assert_eq!(at(1 << 51, 1).encode(&geometry), None);
    assert_eq!(at(0, 4096).encode(&geometry), None);
    assert_eq!(
        Mapping::Normal(HostOffset::new(1 << 63)).encode(&geometry),
        None
    );
}

proptest! {
    #[test]
    fn every_entry_survives_a_round_trip(entry: u64, cluster_bits in 9u32..=16) {
        let geometry = geometry(cluster_bits);
        if let Ok(mapping) = Mapping::decode(entry, &geometry) {
            prop_assert_eq!(mapping.encode(&geometry), Some(entry));
        } else {
            prop_assert!(entry % 512 != 0 && entry >> 63 == 0);
        }
    }
}
