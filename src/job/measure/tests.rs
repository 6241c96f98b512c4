use super::{Qcow2Target, bitmap_bytes, qcow2};
use crate::node::Preallocation;

const PLAIN: Qcow2Target = Qcow2Target {
    cluster_size: 65536,
    refcount_bits: 16,
    extended_l2: false,
    encryption_header: 0,
    preallocation: Preallocation::Off,
};
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// What the real tool says.
#[test]
fn sizes_are_the_real_tools() {
    let measured = |target: &Qcow2Target, size, data| {
        let sizes = qcow2(target, size, data).expect("not too large");
        (sizes.required, sizes.fully_allocated)
    };
    assert_eq!(measured(&PLAIN, GIB, 0), (393_216, 1_074_135_040));
    assert_eq!(measured(&PLAIN, 0, 0), (196_608, 196_608));
    assert_eq!(measured(&PLAIN, 1000, 0), (327_680, 393_216));
    assert_eq!(
        measured(&PLAIN, 2048 * TIB, 0),
        (343_650_009_088, 2_252_143_463_694_336)
    );
    let small = Qcow2Target {
        cluster_size: 4096,
        ..PLAIN
    };
    assert_eq!(measured(&small, GIB, 0), (2_637_824, 1_076_379_648));
    let wide = Qcow2Target {
        cluster_size: 512,
        refcount_bits: 64,
        ..PLAIN
    };
    assert_eq!(measured(&wide, GIB, 0), (34_629_120, 1_108_370_944));
    let extended = Qcow2Target {
        extended_l2: true,
        ..PLAIN
    };
    assert_eq!(measured(&extended, GIB, 0), (524_288, 1_074_266_112));
    let encrypted = Qcow2Target {
        encryption_header: 2_068_480,
        ..PLAIN
    };
    assert_eq!(measured(&encrypted, GIB, 0), (2_490_368, 1_076_232_192));
    let full = Qcow2Target {
        preallocation: Preallocation::Full,
        ..PLAIN
    };
    assert_eq!(
        measured(&full, TIB, 0),
        (1_099_679_662_080, 1_099_679_662_080)
    );
}

#[test]
fn l1_table_has_a_limit() {
    assert!(qcow2(&PLAIN, 2049 * TIB, 0).is_err());
    assert!(qcow2(&PLAIN, i64::MAX.cast_unsigned(), 0).is_err());
}

#[test]
fn bitmaps_take_data_table_and_directory() {
    assert_eq!(bitmap_bytes(3 << 20, 65536, &[(65536, 3)]), 196_608);
    assert_eq!(bitmap_bytes(3 << 20, 4096, &[(65536, 3)]), 12_288);
    assert_eq!(bitmap_bytes(3 << 20, 4096, &[]), 0);
}
