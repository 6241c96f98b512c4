use super::*;

const CLUSTER: u64 = 0x1_0000;

fn table(entries: &[u64]) -> Vec<u8> {
    entries
        .iter()
        .flat_map(|entry| entry.to_be_bytes())
        .collect()
}

#[test]
fn fragments_are_counted_as_the_real_tool_counts_them() {
    let geometry = Geometry::new(16, 4, false).unwrap();
    let counts = ReferenceCounts::new(geometry, 100 * CLUSTER).unwrap();
    let none = &mut |finding, _| panic!("{finding}");
    let copied = 1 << 63;
    let first = table(&[
        (5 * CLUSTER) | copied,
        6 * CLUSTER,
        0,
        1,
        (7 * CLUSTER) | 1,
        9 * CLUSTER,
    ]);
    let first = count_l2_table(&geometry, &first, &counts, (1, false), none);
    assert_eq!((first.allocated, first.fragmented), (4, 1));
    let second = table(&[10 * CLUSTER, (1 << 62) | (20 * CLUSTER)]);
    let second = count_l2_table(&geometry, &second, &counts, (1, false), none);
    assert_eq!((second.compressed, second.fragmented), (1, 1));
    let mut total = Fragmentation::default();
    total.append(&first, 1);
    total.append(&second, 1);
    total.append(&second, 2);
    assert_eq!((total.allocated, total.fragmented), (10, 4));
    let used: Vec<u64> = (0..100)
        .filter(|&cluster| counts.count(cluster) > 0)
        .collect();
    assert_eq!(used, [5, 6, 7, 9, 10, 20]);
}

#[test]
fn findings_come_in_the_order_of_the_entries() {
    let geometry = Geometry::new(16, 4, false).unwrap();
    let counts = ReferenceCounts::new(geometry, 10 * CLUSTER).unwrap();
    let mut findings = Vec::new();
    let bytes = table(&[
        CLUSTER,
        0x0100_0000_0001_0200,
        2,
        20 * CLUSTER,
        CLUSTER | 0x201,
    ]);
    count_l2_table(
        &geometry,
        &bytes,
        &counts,
        (3, false),
        &mut |finding, times| {
            assert_eq!(times, 3);
            findings.push(finding.to_string());
        },
    );
    assert_eq!(
        findings,
        [
            "ERROR found l2 entry with reserved bits set: 100000000010200",
            "ERROR offset=10200: Data cluster is not properly aligned; L2 entry corrupted.",
            "ERROR found l2 entry with reserved bits set: 2",
            "ERROR: counting reference for region exceeding the end of the file by one cluster \
             or more: offset 0x140000 size 0x10000",
            "ERROR offset=10200: Preallocated cluster is not properly aligned; L2 entry corrupted.",
        ]
    );
    assert_eq!((counts.count(1), counts.count(2)), (9, 6));
}

#[test]
fn a_zero_cluster_loses_an_impossible_place() {
    let geometry = Geometry::new(16, 4, false).unwrap();
    let counts = ReferenceCounts::new(geometry, 10 * CLUSTER).unwrap();
    let mut bytes = table(&[CLUSTER | 0x201, (2 * CLUSTER) | 1, CLUSTER | 0x200]);
    let mut findings = Vec::new();
    count_l2_table(&geometry, &bytes, &counts, (1, true), &mut |finding, _| {
        findings.push(finding);
    });
    assert_eq!(
        findings[0],
        Finding::PreallocatedUnaligned { offset: 0x1_0200 }
    );
    // Only the data cluster at the same impossible place was counted.
    assert_eq!((counts.count(1), counts.count(2)), (1, 2));
    assert!(mend_l2_table(&geometry, &mut bytes));
    assert_eq!(bytes, table(&[1, (2 * CLUSTER) | 1, CLUSTER | 0x200]));
    assert!(!mend_l2_table(&geometry, &mut bytes));
}
