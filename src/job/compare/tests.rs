use std::sync::Arc;

use super::*;
use crate::driver::memory::Memory;
use crate::job::progress::Silent;

fn compare(a: &[u8], b: &[u8], workers: usize) -> Verdict {
    let node = |bytes: &[u8]| Arc::new(Memory::new(bytes.to_vec(), u64::MAX)) as SharedNode;
    run(&Comparison {
        images: [&node(a), &node(b)],
        from: 0,
        to: a.len().max(b.len()) as u64,
        strict: false,
        workers,
        progress: &Silent,
    })
    .expect("nothing fails in memory")
}

#[test]
fn the_first_differing_sector_is_named_by_any_number_of_workers() {
    let a = vec![7; 5 << 20];
    for workers in 1..4 {
        for place in [0, 511, 512, (1 << 20) - 1, 3 << 20, (5 << 20) - 1] {
            let mut b = a.clone();
            for later in [place, place + 1, 4 << 20, (5 << 20) - 1] {
                if later >= place && later < b.len() {
                    b[later] = 8;
                }
            }
            let sector = place - place % 512;
            let expected = Verdict::Content(GuestOffset::new(sector as u64));
            assert_eq!(
                compare(&a, &b, workers),
                expected,
                "byte {place}, {workers} workers"
            );
        }
        assert_eq!(compare(&a, &a, workers), Verdict::Identical);
    }
}

#[test]
fn what_one_image_has_more_must_be_zero() {
    let short = vec![1; 4096];
    let mut long = short.clone();
    long.resize(3 << 20, 0);
    assert_eq!(compare(&short, &long, 2), Verdict::Identical);
    assert_eq!(compare(&long, &short, 2), Verdict::Identical);
    long[(2 << 20) + 700] = 1;
    let expected = Verdict::Content(GuestOffset::new((2 << 20) + 512));
    assert_eq!(compare(&short, &long, 2), expected);
    assert_eq!(compare(&long, &short, 2), expected);
}
