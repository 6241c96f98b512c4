use super::*;

/// Counts in a plain vector.
#[test]
fn random_regions_count_as_in_a_vector() {
    for order in [1, 3, 4] {
        let geometry = Geometry::new(9, order, false).unwrap();
        let clusters = 200_000_u64;
        let counts = ReferenceCounts::new(geometry, clusters * 512).unwrap();
        let mut naive = vec![0_u64; usize::try_from(clusters).unwrap()];
        let mut naive_overflows = 0;
        let mut overflows = 0;
        let mut state = 88_172_645_463_325_252_u64;
        let mut pick = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) % below
        };
        for _ in 0..300 {
            let first = pick(clusters);
            let count = (1 + pick(70_000)).min(clusters - first);
            let weight = [1, 1, 1, 3, 200, 1000][usize::try_from(pick(6)).unwrap()];
            counts.add_clusters(first, count, weight, &mut |finding, times| {
                assert!(matches!(finding, Finding::Overflow { .. }));
                overflows += times;
            });
            for cluster in first..first + count {
                let now = &mut naive[usize::try_from(cluster).unwrap()];
                let added = weight.min(geometry.refcount_max() - *now);
                naive_overflows += weight - added;
                *now += added;
            }
        }
        assert_eq!(overflows, naive_overflows);
        let frozen = counts.freeze();
        for (cluster, &expected) in (0..).zip(&naive) {
            assert_eq!(frozen.count(cluster), expected);
        }
    }
}

#[test]
fn regions_may_end_less_than_a_cluster_behind_the_file() {
    let geometry = Geometry::new(16, 4, false).unwrap();
    let counts = ReferenceCounts::new(geometry, 0x7_0001).unwrap();
    let mut findings = Vec::new();
    let mut add = |offset, size| {
        findings.clear();
        counts.add_region(offset, size, 1, &mut |finding, _| findings.push(finding));
        findings.len()
    };
    assert_eq!(add(0x7_0000, 0x1_0000), 0);
    assert_eq!(add(0x7_0001, 0x1_0000), 1);
    assert_eq!(add(u64::MAX, 1), 1);
    assert_eq!(add(1 << 63, i64::MAX as u64), 1);
    // Sizes are signed in the real tool: these are none.
    assert_eq!(add(0, 0), 0);
    assert_eq!(add(0, u64::MAX), 0);
    assert_eq!(counts.count(7), 1);
}
