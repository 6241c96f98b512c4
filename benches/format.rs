//! Speed of the mapping lookup and of the refcount fold: `cargo bench --bench format`.

use std::hint::black_box;
use std::time::Duration;

use cowproof::base::{GuestOffset, HostOffset};
use cowproof::format::qcow2::check::ReferenceCounts;
use cowproof::format::qcow2::check::compare::compare_block;
use cowproof::format::qcow2::lookup::{Tables, lookup};
use cowproof::format::qcow2::{Geometry, L1Entry, refcount};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const CLUSTER_BITS: u32 = 16;

/// One L2 table in memory.
struct OneTable {
    l2: Vec<u8>,
}

impl Tables for OneTable {
    fn l1_entry(&self, index: u64) -> L1Entry {
        L1Entry::from_raw(if index == 0 {
            1 << 63 | 1 << CLUSTER_BITS
        } else {
            0
        })
    }

    fn l2_table(&self, _offset: HostOffset) -> Option<&[u8]> {
        Some(&self.l2)
    }
}

fn lookups(criterion: &mut Criterion) {
    let geometry = Geometry::new(CLUSTER_BITS, 4, false).expect("a geometry");
    // Clusters one behind the other, with a gap in every eighth place.
    let l2 = (0..geometry.l2_entries())
        .flat_map(|index| {
            let host = (index + 2 + index / 8) << CLUSTER_BITS;
            (1_u64 << 63 | host).to_be_bytes()
        })
        .collect();
    let tables = OneTable { l2 };
    let mut group = criterion.benchmark_group("lookup");
    group.throughput(Throughput::Elements(1));
    for (name, length) in [("4 KiB", 4096), ("2 MiB", 2 << 20)] {
        let mut offset = 0_u64;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                offset = (offset + 12_345_678) % geometry.l2_coverage() / 512 * 512;
                let place = GuestOffset::new(black_box(offset));
                black_box(lookup(&geometry, 3, &tables, place, length))
            });
        });
    }
    group.finish();
}

fn fold(criterion: &mut Criterion) {
    let geometry = Geometry::new(CLUSTER_BITS, 4, false).expect("a geometry");
    let clusters = geometry.refcount_block_entries();
    let bytes = clusters << CLUSTER_BITS;
    let mut block = vec![0; geometry.cluster_bytes()];
    for index in 0..usize::try_from(clusters).expect("a block's entries") {
        refcount::write(&geometry, &mut block, index, 1);
    }
    let mut group = criterion.benchmark_group("refcount fold");
    group.throughput(Throughput::Elements(clusters));
    group.bench_function("count a block's clusters", |bencher| {
        bencher.iter(|| {
            let counts = ReferenceCounts::new(geometry, bytes).expect("a small file");
            counts.add_clusters(0, clusters, 1, &mut |_, _| {});
            counts
        });
    });
    let counts = ReferenceCounts::new(geometry, bytes).expect("a small file");
    counts.add_clusters(0, clusters, 1, &mut |_, _| {});
    let counts = counts.freeze();
    group.bench_function("compare with the stored block", |bencher| {
        bencher.iter(|| {
            compare_block(
                &geometry,
                Some(&block),
                0..clusters,
                &counts,
                &mut |_, _, _| {},
            )
        });
    });
    group.finish();
}

criterion_group! {
    name = all;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = lookups, fold
}
criterion_main!(all);
