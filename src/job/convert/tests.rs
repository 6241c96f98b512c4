use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::crypto::secret::Secret;
use crate::driver::memory::Memory;
use crate::driver::qcow2::create::{Qcow2CreateOptions, create};
use crate::driver::qcow2::{Qcow2, Qcow2OpenOptions};
use crate::job::progress::Silent;
use crate::node::{HostFile, Node as _};

fn settings() -> Settings {
    Settings {
        workers: 3,
        zeroes: Zeroes::Found(4096),
        compressed_cluster: None,
        verbatim: false,
        out_of_order: false,
        unwritten: Unwritten::Zeroes,
        salvage: false,
        rate: None,
    }
}

fn convert(parts: &[Vec<u8>], before: Vec<u8>, settings: &Settings) -> Result<Vec<u8>, Failure> {
    let nodes: Vec<SharedNode> = parts
        .iter()
        .map(|bytes| Arc::new(Memory::new(bytes.clone(), u64::MAX)) as SharedNode)
        .collect();
    let sources = Sources::join(&nodes).expect("sources join");
    let memory = Arc::new(Memory::new(before, sources.length()));
    let target: SharedNode = Arc::<Memory>::clone(&memory);
    run(&Conversion {
        sources: &sources,
        target: &target,
        settings,
        progress: &Silent,
        salvaged: &|_, _, _| {},
    })?;
    Ok(memory.snapshot())
}

/// Pieces of data and zeros, as (length in sectors, byte).
fn disk() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec((0_usize..600, prop_oneof![Just(0_u8), any::<u8>()]), 0..12).prop_map(
        |runs| {
            let mut bytes = Vec::new();
            for (sectors, byte) in runs {
                bytes.resize(bytes.len() + sectors * 100, byte);
            }
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_copy_is_the_sources_joined(
        parts in prop::collection::vec(disk(), 1..4),
        workers in 1_usize..4,
        sparse in prop_oneof![Just(Zeroes::AsData), Just(Zeroes::Known), Just(Zeroes::Found(512)), Just(Zeroes::Found(3072)), Just(Zeroes::Found(65536))],
        out_of_order: bool,
        unknown: bool,
    ) {
        let mut expected = Vec::new();
        for part in &parts {
            expected.extend_from_slice(part);
            expected.resize(expected.len().next_multiple_of(512), 0);
        }
        let before = if unknown { vec![0x77; expected.len()] } else { vec![0; expected.len()] };
        let settings = Settings {
            workers,
            zeroes: sparse,
            out_of_order,
            unwritten: if unknown { Unwritten::Unknown } else { Unwritten::Zeroes },
            ..settings()
        };
        let copied = convert(&parts, before, &settings).expect("copies");
        prop_assert!(copied == expected);
    }
}

#[test]
fn a_full_target_is_a_write_error_at_the_first_place_that_does_not_fit() {
    let node: SharedNode = Arc::new(Memory::new(vec![1; 5 << 20], u64::MAX));
    let sources = Sources::join(&[node]).expect("sources join");
    let target: SharedNode = Arc::new(Memory::new(Vec::new(), 2 << 20));
    let failure = run(&Conversion {
        sources: &sources,
        target: &target,
        settings: &settings(),
        progress: &Silent,
        salvaged: &|_, _, _| {},
    })
    .expect_err("does not fit");
    assert_eq!(failure.step, Step::Writing);
    assert_eq!(failure.offset, GuestOffset::new(2 << 20));
    assert_eq!(failure.error.to_string(), "No space left on device");
}

#[test]
fn a_worker_that_panics_does_not_keep_the_others_waiting() {
    use crate::node::Turn as _;
    let queue = super::queue::Queue::default();
    let ends = std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            let _place = queue.place(0, true);
            panic!("on purpose");
        });
        let second = scope.spawn(|| queue.place(1, true).wait());
        (first.join().is_err(), second.join())
    });
    assert!(ends.0);
    assert!(ends.1.expect("the second does not panic").is_err());
}

/// An image with these clusters of one sector in it.
fn with_sectors(sectors: &[u64]) -> SharedNode {
    let file: SharedNode = Arc::new(Memory::new(Vec::new(), 1 << 24));
    let host = HostFile::new(file);
    let options = Qcow2CreateOptions {
        size: 16384,
        cluster_size: 512,
        ..Qcow2CreateOptions::default()
    };
    create(&host, &options, &|| Ok(Secret::new(Vec::new()))).expect("creates");
    let options = Qcow2OpenOptions {
        writable: true,
        ..Qcow2OpenOptions::default()
    };
    let image = Qcow2::open(host, &options).expect("opens");
    for sector in sectors {
        image
            .write_at(GuestOffset::new(sector * 512), &[1; 512])
            .expect("writes");
    }
    image
}

/// What is compressed goes cluster by cluster, whatever the source's extents: one with a bit of data in it is data.
#[test]
fn pieces_to_compress_are_whole_clusters() {
    let node = with_sectors(&[1, 17]);
    let sources = Sources::join(&[node]).expect("sources join");
    let target: SharedNode = Arc::new(Memory::new(Vec::new(), 1 << 20));
    let settings = Settings {
        compressed_cluster: Some(4096),
        ..settings()
    };
    let conversion = Conversion {
        sources: &sources,
        target: &target,
        settings: &settings,
        progress: &Silent,
        salvaged: &|_, _, _| {},
    };
    let mut plan = super::plan::Plan::new(&conversion, 4096);
    let mut pieces = Vec::new();
    while let Some(piece) = plan.next().expect("plans") {
        pieces.push((piece.offset.bytes(), piece.length));
    }
    assert_eq!(pieces, [(0, 4096), (8192, 4096)]);
}

#[test]
fn whose_turn_it_is_finishes_and_who_waits_is_called_off() {
    use crate::node::Turn as _;
    let queue = super::queue::Queue::default();
    queue.call_off();
    let mut first = queue.place(0, true);
    assert!(first.wait().is_ok() && !first.called_off());
    let mut second = queue.place(1, true);
    assert!(second.wait().is_err() && second.called_off());
}
