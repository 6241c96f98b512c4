//! Parallel writers, and an image made empty. Against flat memory: `iotests/model.rs`.

use super::*;
use crate::base::GuestOffset;
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
