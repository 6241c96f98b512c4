//! Several threads at once.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::super::create::{Qcow2CreateOptions, Qcow2Encryption, create};
use super::super::testing::layout;
use super::super::{Qcow2, Qcow2OpenOptions};
use super::Dice;
use crate::base::{GuestOffset, Result};
use crate::crypto::secret::Secret;
use crate::driver::memory::Memory;
use crate::node::{HostFile, Node, Turn};

const CLUSTER: u64 = 4096;
const SIZE: u64 = 512 * CLUSTER;

fn secret() -> Secret {
    Secret::new(b"pw".to_vec())
}

fn fresh() -> (Arc<Memory>, Arc<Qcow2>) {
    let memory = Arc::new(Memory::new(Vec::new(), 1 << 30));
    let options = Qcow2CreateOptions {
        size: SIZE,
        cluster_size: CLUSTER,
        encryption: Qcow2Encryption::Aes,
        ..Qcow2CreateOptions::default()
    };
    create(&HostFile::new(memory.clone()), &options, &|| Ok(secret())).unwrap();
    let image = open(&memory);
    (memory, image)
}

fn open(memory: &Arc<Memory>) -> Arc<Qcow2> {
    let options = Qcow2OpenOptions {
        writable: true,
        discard_unmap: true,
        key: Some(secret()),
        ..Qcow2OpenOptions::default()
    };
    Qcow2::open(HostFile::new(memory.clone()), &options).unwrap()
}

#[test]
fn writers_of_different_parts_of_the_same_clusters() {
    let (memory, image) = fresh();
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let image = &image;
            scope.spawn(move || {
                let mut dice = Dice::new(thread + 1);
                let pattern = u8::try_from(thread + 1).unwrap();
                for _ in 0..400 {
                    // Each thread owns every fourth kilobyte.
                    let unit = dice.roll(SIZE / 4096) * 4 + thread;
                    let guest = GuestOffset::new(unit * 1024);
                    image.write_at(guest, &[pattern; 1024]).unwrap();
                    let mut back = [0; 1024];
                    image.read_at(guest, &mut back).unwrap();
                    assert_eq!(back, [pattern; 1024]);
                    if dice.roll(50) == 0 {
                        image.flush().unwrap();
                    }
                }
            });
        }
    });
    image.close().unwrap();
    let image = open(&memory);
    let mut all = vec![0; usize::try_from(SIZE).unwrap()];
    image.read_at(GuestOffset::ZERO, &mut all).unwrap();
    for (unit, bytes) in all.chunks(1024).enumerate() {
        let owner = u8::try_from(unit % 4 + 1).unwrap();
        assert!(bytes.iter().all(|byte| *byte == 0) || bytes.iter().all(|byte| *byte == owner));
    }
}

/// A turn by number.
struct Numbered<'a> {
    queue: &'a (Mutex<usize>, Condvar),
    number: usize,
}

impl Turn for Numbered<'_> {
    fn wait(&mut self) -> Result<()> {
        let mut next = self.queue.0.lock();
        while *next != self.number {
            self.queue.1.wait(&mut next);
        }
        Ok(())
    }

    fn pass(&mut self) {
        *self.queue.0.lock() = self.number + 1;
        self.queue.1.notify_all();
    }
}

#[test]
fn turns_give_the_layout_of_a_serial_writer() {
    // The second one is no multiple of a cluster: neighbours in the queue share clusters.
    same_as_serial::<20480>();
    same_as_serial::<6144>();
}

fn same_as_serial<const CHUNK: usize>() {
    let chunks = usize::try_from(SIZE).unwrap() / CHUNK;
    let (serial_memory, serial) = fresh();
    for number in 0..chunks {
        let guest = GuestOffset::new((number * CHUNK) as u64);
        serial.write_at(guest, &[7; CHUNK]).unwrap();
    }
    serial.close().unwrap();
    let (memory, image) = fresh();
    let queue = (Mutex::new(0), Condvar::new());
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (image, queue) = (&image, &queue);
            scope.spawn(move || {
                for number in (thread..chunks).step_by(3) {
                    let guest = GuestOffset::new((number * CHUNK) as u64);
                    let mut turn = Numbered { queue, number };
                    image
                        .write_in_turn(guest, &mut [7; CHUNK], &mut turn)
                        .unwrap();
                }
            });
        }
    });
    image.close().unwrap();
    assert_eq!(
        layout(&memory.snapshot()),
        layout(&serial_memory.snapshot())
    );
}
