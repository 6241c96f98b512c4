use proptest::prelude::*;

use super::*;
use crate::base::GuestOffset;
use crate::node::{Node, ZeroFlags};

const SIZE: u64 = 5 * 4096 + 1536;

#[derive(Clone, Debug)]
enum Step {
    Write(u64, usize, u8),
    Compressed(u64, u8),
    Zero(u64, u64),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let place = (0..SIZE).prop_flat_map(|start| (Just(start), 1..=(SIZE - start).min(9000)));
    let step = prop_oneof![
        4 => (place.clone(), any::<u8>())
            .prop_map(|((start, length), fill)| Step::Write(start, usize::try_from(length).unwrap(), fill)),
        2 => (0..6u64, any::<u8>()).prop_map(|(cluster, fill)| Step::Compressed(cluster * 4096, fill)),
        1 => place.prop_map(|(start, length)| Step::Zero(start, length)),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..20)
}

/// Compressible, but not one byte repeated.
fn pattern(length: usize, fill: u8) -> Vec<u8> {
    (0..length)
        .map(|i| fill.wrapping_add(u8::from(i % 7 == 0)))
        .collect()
}

fn run(
    key: Option<&str>,
    backing: Option<&Arc<Memory>>,
    steps: &[Step],
) -> Result<(), TestCaseError> {
    // The layout without a backing file has the larger clusters, where copy-on-write shows.
    let mut fixture = open_bytes(created(SIZE, None, key), key).unwrap();
    let attach = |fixture: &Fixture| {
        let node = backing.cloned().map(|node| node as crate::node::SharedNode);
        fixture.image.set_backing(node).unwrap();
    };
    attach(&fixture);
    let mut model = backing.map_or_else(Vec::new, |node| node.snapshot());
    model.resize(usize::try_from(SIZE).unwrap(), 0);
    for step in steps {
        match *step {
            Step::Write(start, length, fill) => {
                let data = pattern(length, fill);
                fixture
                    .image
                    .write_at(GuestOffset::new(start), &data)
                    .unwrap();
                let start = usize::try_from(start).unwrap();
                model[start..start + length].copy_from_slice(&data);
            }
            Step::Compressed(start, fill) => {
                let length = usize::try_from((SIZE - start).min(4096)).unwrap();
                let data = pattern(length, fill);
                fixture
                    .image
                    .write_compressed(GuestOffset::new(start), &data)
                    .unwrap();
                let start = usize::try_from(start).unwrap();
                model[start..start + length].copy_from_slice(&data);
            }
            Step::Zero(start, length) => {
                let flags = ZeroFlags::MAY_UNMAP;
                fixture
                    .image
                    .write_zeroes(GuestOffset::new(start), length, flags)
                    .unwrap();
                let start = usize::try_from(start).unwrap();
                model[start..start + usize::try_from(length).unwrap()].fill(0);
            }
            Step::Reopen => {
                fixture = open_bytes(fixture.memory.snapshot(), key).unwrap();
                attach(&fixture);
            }
        }
    }
    let mut read = vec![0xee; model.len()];
    fixture.image.read_at(GuestOffset::ZERO, &mut read).unwrap();
    prop_assert_eq!(read, model);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn reads_are_those_of_a_flat_disk(steps in steps(), encrypted: bool, shorter_base: bool) {
        let base = Arc::new(Memory::new(pattern(if shorter_base { 9000 } else { 40000 }, 3), 1 << 20));
        let key = encrypted.then_some("pw");
        run(key, None, &steps)?;
        run(key, Some(&base), &steps)?;
    }
}

#[test]
fn parallel_writers_of_one_cluster_lose_nothing() {
    let fixture = open_bytes(created(1 << 20, None, Some("pw")), Some("pw")).unwrap();
    std::thread::scope(|scope| {
        for lane in 0..8u8 {
            let image = &fixture.image;
            scope.spawn(move || {
                for cluster in 0..32 {
                    let offset = cluster * 4096 + u64::from(lane) * 512;
                    image
                        .write_at(GuestOffset::new(offset), &[lane + 1; 512])
                        .unwrap();
                }
            });
        }
    });
    let again = open_bytes(fixture.memory.snapshot(), Some("pw")).unwrap();
    let mut read = vec![0; 32 * 4096];
    again.image.read_at(GuestOffset::ZERO, &mut read).unwrap();
    for (sector, bytes) in read.chunks(512).enumerate() {
        let lane = u8::try_from(sector % 8).unwrap();
        assert_eq!(bytes, [lane + 1; 512]);
    }
}

#[test]
fn making_an_image_empty_shows_the_backing_node_again() {
    let fixture = open_bytes(created(4 << 20, Some("base.raw"), None), None).unwrap();
    let base = Arc::new(Memory::new(vec![5; 4 << 20], 4 << 20));
    fixture.image.set_backing(Some(base)).unwrap();
    fixture
        .image
        .write_at(GuestOffset::new(3 << 20), &[9; 700])
        .unwrap();
    fixture.image.make_empty().unwrap();
    // qcow1 §9: exactly the L1 table's end (a 56-byte head, two entries).
    assert_eq!(fixture.memory.snapshot().len(), 56 + 16);
    let mut read = vec![0; 1024];
    fixture
        .image
        .read_at(GuestOffset::new(3 << 20), &mut read)
        .unwrap();
    assert_eq!(read, [5; 1024]);
    fixture
        .image
        .write_at(GuestOffset::new(3 << 20), &[9; 512])
        .unwrap();
    fixture
        .image
        .read_at(GuestOffset::new(3 << 20), &mut read)
        .unwrap();
    assert_eq!(read[..512], [9; 512]);
}
