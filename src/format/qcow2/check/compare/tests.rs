use super::super::ReferenceCounts;
use super::*;

#[test]
fn every_width_finds_the_same_differences() {
    for order in 0..=6 {
        let geometry = Geometry::new(9, order, false).unwrap();
        let per_block = geometry.refcount_block_entries();
        let clusters = per_block - 3;
        let counts = ReferenceCounts::new(geometry, clusters * 512).unwrap();
        let none = &mut |finding, _| panic!("{finding}");
        counts.add_clusters(0, clusters / 2, 1, none);
        let frozen = counts.freeze();
        let mut block = vec![0; 512];
        for cluster in 0..clusters / 2 {
            let index = usize::try_from(cluster).unwrap();
            assert!(refcount::write(&geometry, &mut block, index, 1));
        }
        let compare = |block: Option<&[u8]>| {
            let mut found = Vec::new();
            let mut differs = |cluster, stored, counted| found.push((cluster, stored, counted));
            let last = compare_block(&geometry, block, 0..clusters, &frozen, &mut differs);
            (last, found)
        };
        let last = clusters / 2 - 1;
        assert_eq!(compare(Some(&block)), (Some(last), vec![]), "order {order}");
        let (end, missing) = compare(None);
        assert_eq!((end, missing.len() as u64), (Some(last), clusters / 2));
        refcount::write(&geometry, &mut block, 1, 0);
        let late = usize::try_from(clusters - 1).unwrap();
        refcount::write(&geometry, &mut block, late, 1);
        let expected = vec![(1, 0, 1), (clusters - 1, 1, 0)];
        assert_eq!(compare(Some(&block)), (Some(clusters - 1), expected));
    }
}
