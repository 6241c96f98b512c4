use super::DirtyBits;

/// One flag for each piece: what the sparse set is compared with.
struct Flags(Vec<bool>);

impl Flags {
    fn mark(&mut self, granularity: u64, offset: u64, length: u64) {
        for (index, flag) in (0..).zip(&mut self.0) {
            let start = index * granularity;
            *flag |= start < offset + length && offset < start + granularity && length > 0;
        }
    }
}

fn as_flags(bits: &DirtyBits) -> Vec<bool> {
    let pieces = usize::try_from(bits.bits()).unwrap();
    let length = pieces.div_ceil(8).next_multiple_of(512);
    let bytes = bits.bytes(0, length).unwrap_or_else(|| vec![0; length]);
    for behind in pieces..length * 8 {
        assert_eq!(bytes[behind / 8] >> (behind % 8) & 1, 0, "bit {behind}");
    }
    (0..pieces)
        .map(|at| bytes[at / 8] >> (at % 8) & 1 == 1)
        .collect()
}

#[test]
fn marks_like_a_list_of_flags() {
    let size = 9_000_000;
    for granularity_bits in [9, 10, 16] {
        let granularity = 1 << granularity_bits;
        let mut bits = DirtyBits::new(size, granularity_bits);
        let mut flags = Flags(vec![false; usize::try_from(bits.bits()).unwrap()]);
        let mut seed = 7_u64;
        for _ in 0..40 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let offset = (seed >> 20) % size;
            let length = ((seed >> 40) % 70_000).min(size - offset);
            bits.mark(offset, length);
            flags.mark(granularity, offset, length);
            assert_eq!(as_flags(&bits), flags.0);
        }
    }
}

#[test]
fn a_merge_keeps_what_each_granularity_can_say() {
    let size = 1 << 20;
    let mut fine = DirtyBits::new(size, 9);
    fine.mark(70_000, 1);
    fine.mark(512 * 1024, 1024);
    let mut coarse = DirtyBits::new(size, 16);
    coarse.merge(&fine);
    assert_eq!(
        coarse.runs().collect::<Vec<_>>(),
        [65_536..131_072, 524_288..589_824]
    );
    let mut again = DirtyBits::new(size, 9);
    again.merge(&coarse);
    assert_eq!(
        again.runs().collect::<Vec<_>>(),
        [65_536..131_072, 524_288..589_824]
    );
    let mut same = DirtyBits::new(size, 9);
    same.mark(0, 1);
    same.merge(&fine);
    assert_eq!(
        same.runs().collect::<Vec<_>>(),
        [0..512, 69_632..70_144, 524_288..525_312]
    );
}

#[test]
fn a_shorter_disk_has_no_pieces_behind_its_end() {
    let mut bits = DirtyBits::new(1 << 20, 9);
    bits.mark(0, 1 << 20);
    bits.resize(100_000);
    bits.resize(1 << 20);
    assert_eq!(bits.runs().next(), Some(0..100_352));
    assert_eq!(bits.runs().count(), 1);
    bits.set_bytes(0, &[0; 512]);
    assert_eq!(bits.bytes(0, 512), None);
}
