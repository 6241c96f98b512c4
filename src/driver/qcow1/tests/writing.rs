//! Parallel writers, and an image made empty. Against flat memory: `iotests/model.rs`.

use super::*;
use crate::base::GuestOffset;
use crate::base::error::errno;
use crate::node::Node;

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

/// The real tool takes it, as if it were for the start of the cluster.
#[test]
fn a_compressed_write_belongs_to_a_whole_cluster() {
    let fixture = open_bytes(created(1 << 20, None, None), None).unwrap();
    for (offset, length) in [(512, 4096), (0, 512), (4096, 3584), (4608, 3584)] {
        let error = fixture
            .image
            .write_compressed(GuestOffset::new(offset), &vec![4; length])
            .unwrap_err();
        assert_eq!(error.errno(), errno::EINVAL, "{offset} {length}");
    }
    let mut read = vec![9; 16384];
    fixture.image.read_at(GuestOffset::ZERO, &mut read).unwrap();
    assert_eq!(read, [0; 16384]);
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

/// Every part of whole sectors of a cluster: over data (compressed, so that the write goes to a new place), over the
/// backing file, encrypted and not.
#[test]
fn whatever_part_is_written_the_rest_of_its_cluster_is_kept() {
    for (key, backed) in [
        (None, false),
        (None, true),
        (Some("pw"), false),
        (Some("pw"), true),
    ] {
        for first in 0..8 {
            for end in first + 1..=8 {
                let fixture = open_bytes(created(16_384, None, key), key).unwrap();
                let mut expected = vec![0; 16_384];
                if backed {
                    let base = Arc::new(Memory::new(vec![0x42; 16_384], 1 << 20));
                    fixture.image.set_backing(Some(base)).unwrap();
                    expected.fill(0x42);
                }
                let image = &fixture.image;
                image
                    .write_compressed(GuestOffset::new(4096), &[7; 4096])
                    .unwrap();
                expected[4096..8192].fill(7);
                for cluster in [4096, 8192] {
                    let (start, stop) = (cluster + first * 512, cluster + end * 512);
                    expected[start..stop].fill(9);
                    let data = &expected[start..stop];
                    image
                        .write_at(GuestOffset::new(start as u64), data)
                        .unwrap();
                }
                let mut read = vec![0; 16_384];
                image.read_at(GuestOffset::ZERO, &mut read).unwrap();
                let differs = (0..read.len()).find(|&at| read[at] != expected[at]);
                assert_eq!(
                    differs, None,
                    "{key:?}, backed: {backed}, sectors {first}..{end}"
                );
            }
        }
    }
}
