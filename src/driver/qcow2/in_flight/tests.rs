use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use crate::base::error::errno;
use crate::base::{Error, GuestOffset, Result};
use crate::driver::blkdebug::{Blkdebug, BlkdebugOptions};
use crate::driver::memory::Memory;
use crate::driver::qcow2::create::{Qcow2CreateOptions, create};
use crate::driver::qcow2::{Qcow2, Qcow2OpenOptions};
use crate::node::{Breakpoints, HostFile, Node, SharedNode, ZeroFlags};

const CLUSTER: u64 = 4096;

fn at(cluster: u64) -> GuestOffset {
    GuestOffset::new(cluster * CLUSTER)
}

/// An image over a debugging node, and the file below.
fn image() -> (SharedNode, Arc<Qcow2>, Arc<dyn Breakpoints>) {
    let memory: SharedNode = Arc::new(Memory::new(Vec::new(), 1 << 30));
    let options = Qcow2CreateOptions {
        size: 64 * CLUSTER,
        cluster_size: CLUSTER,
        ..Qcow2CreateOptions::default()
    };
    let no_secret = || Err(Error::bare(errno::EINVAL));
    create(&HostFile::new(Arc::clone(&memory)), &options, &no_secret).unwrap();
    let debug: SharedNode =
        Arc::new(Blkdebug::new(Arc::clone(&memory), BlkdebugOptions::default()).unwrap());
    let options = Qcow2OpenOptions {
        writable: true,
        discard_unmap: true,
        ..Qcow2OpenOptions::default()
    };
    let image = Qcow2::open(HostFile::new(debug), &options).unwrap();
    let points = image.breakpoints().unwrap();
    (memory, image, points)
}

fn read(image: &Qcow2, cluster: u64) -> Result<u8> {
    let mut bytes = [0; 512];
    image.read_at(at(cluster), &mut bytes)?;
    Ok(bytes[0])
}

fn assert_sound(memory: &SharedNode) {
    let image = Qcow2::open(
        HostFile::new(Arc::clone(memory)),
        &Qcow2OpenOptions::default(),
    );
    let mut found = Vec::new();
    let report = image
        .unwrap()
        .check(crate::node::Repair::Nothing, &mut |line| {
            found.push(line.to_owned());
        });
    assert!(report.is_ok() && found.is_empty(), "{found:?}");
}

#[test]
fn only_writes_wait_for_a_cluster_that_is_about_to_be_mapped() {
    let (memory, image, points) = image();
    points.set("write_aio", "A").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| image.write_at(at(1), &[1; 4096]).unwrap());
        points.wait("A");
        // None of these wait.
        assert_eq!(read(&image, 1).unwrap(), 0);
        image
            .write_zeroes(at(1), CLUSTER, ZeroFlags::empty())
            .unwrap();
        image.discard(at(1), CLUSTER).unwrap();
        image.write_at(at(2), &[2; 4096]).unwrap();
        image
            .resize(32 * CLUSTER, crate::node::Preallocation::Off)
            .unwrap();
        let (sender, receiver) = channel();
        let other = &image;
        scope.spawn(move || {
            other.write_at(at(1), &[3; 512]).unwrap();
            sender.send(()).unwrap();
        });
        assert!(receiver.recv_timeout(Duration::from_millis(50)).is_err());
        points.resume("A").unwrap();
        receiver.recv_timeout(Duration::from_secs(10)).unwrap();
    });
    assert_eq!(read(&image, 1).unwrap(), 3);
    assert_eq!(read(&image, 2).unwrap(), 2);
    image.close().unwrap();
    assert_sound(&memory);
}

/// The real tool gives the cluster to the next write, and both end up in it.
#[test]
fn a_place_in_use_is_given_to_nobody_else() {
    for event in ["write_aio", "read_aio"] {
        let (memory, image, points) = image();
        image.write_at(at(1), &[9; 4096]).unwrap();
        points.set(event, "A").unwrap();
        std::thread::scope(|scope| {
            let suspended = scope.spawn(|| {
                if event == "write_aio" {
                    image.write_at(at(1), &[1; 4096]).unwrap();
                    return 9;
                }
                read(&image, 1).unwrap()
            });
            points.wait("A");
            image.discard(at(1), CLUSTER).unwrap();
            image.flush().unwrap();
            image.write_at(at(2), &[2; 4096]).unwrap();
            points.resume("A").unwrap();
            assert_eq!(suspended.join().unwrap(), 9, "{event}");
        });
        assert_eq!(read(&image, 1).unwrap(), 0, "{event}");
        assert_eq!(read(&image, 2).unwrap(), 2, "{event}");
        image.close().unwrap();
        assert_sound(&memory);
    }
}

#[test]
fn what_was_reserved_and_then_discarded_is_not_mapped_again() {
    let (memory, image, points) = image();
    image.write_at(at(1), &[9; 4096]).unwrap();
    image
        .write_zeroes(at(1), CLUSTER, ZeroFlags::empty())
        .unwrap();
    points.set("write_aio", "A").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| image.write_at(at(1), &[1; 4096]).unwrap());
        points.wait("A");
        image.discard(at(1), CLUSTER).unwrap();
        image.write_at(at(2), &[2; 4096]).unwrap();
        points.resume("A").unwrap();
    });
    assert_eq!(read(&image, 1).unwrap(), 0);
    assert_eq!(read(&image, 2).unwrap(), 2);
    image.close().unwrap();
    assert_sound(&memory);
}
