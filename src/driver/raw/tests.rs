use std::sync::Arc;

use super::*;
use crate::base::GuestOffset;
use crate::driver::memory::Memory;
use crate::node::{Node, Preallocation, SharedNode};

fn memory(bytes: usize) -> Arc<Memory> {
    Arc::new(Memory::new(
        (0..bytes)
            .map(|i| u8::try_from(i / 512 % 256).unwrap())
            .collect(),
        1 << 30,
    ))
}

fn raw(file: &Arc<Memory>, offset: u64, size: Option<u64>) -> crate::base::Result<Raw> {
    let file: SharedNode = Arc::clone(file) as SharedNode;
    Raw::new(file, "x".to_owned(), Window { offset, size })
}

#[test]
fn a_window_is_a_disk_of_its_own() {
    let file = memory(4096);
    let disk = raw(&file, 512, Some(1024)).unwrap();
    assert_eq!(disk.length().unwrap(), 1024);
    let mut buffer = [0; 2];
    disk.read_at(GuestOffset::new(511), &mut buffer).unwrap();
    assert_eq!(buffer, [1, 2]);
    disk.write_at(GuestOffset::new(1023), &[0xff]).unwrap();
    assert_eq!(file.snapshot()[1534..1537], [2, 0xff, 3]);
    assert_eq!(
        disk.write_at(GuestOffset::new(1023), &[1, 1])
            .unwrap_err()
            .errno(),
        5
    );
    assert_eq!(
        disk.read_at(GuestOffset::new(1024), &mut buffer)
            .unwrap_err()
            .errno(),
        5
    );
    let extent = disk.extent(GuestOffset::new(512), 4096).unwrap();
    assert_eq!(extent.length, 512);
    assert_eq!(extent.host.unwrap().bytes(), 1024);
    assert!(disk.resize(2048, Preallocation::Off).is_err());
}

#[test]
fn an_open_end_grows_with_the_disk() {
    let file = memory(4096);
    let disk = raw(&file, 1024, None).unwrap();
    assert_eq!(disk.length().unwrap(), 3072);
    disk.resize(8192, Preallocation::Off).unwrap();
    assert_eq!(disk.length().unwrap(), 8192);
    assert_eq!(file.length().unwrap(), 9216);
}

// Observed with `qemu-io --image-opts driver=raw,…` 10.0.2.
#[test]
fn windows_outside_the_file_are_refused() {
    let file = memory(4096);
    let words = |offset, size| raw(&file, offset, size).err().unwrap().to_string();
    assert_eq!(
        words(8192, None),
        "Offset (8192) cannot be greater than size of the containing file (4096)"
    );
    assert_eq!(
        words(512, Some(4096)),
        "The sum of offset (512) and size (4096) has to be smaller or equal to the  actual size of the containing file (4096)"
    );
    assert_eq!(
        words(512, Some(1000)),
        "Specified size is not multiple of 512"
    );
}

#[test]
fn a_probed_disk_refuses_a_foreign_header() {
    let file = memory(4096);
    let disk = raw(&file, 0, None)
        .unwrap()
        .with_guard(|sector| sector.starts_with(b"QFI"));
    disk.write_at(GuestOffset::new(1), b"FI").unwrap();
    assert_eq!(
        disk.write_at(GuestOffset::ZERO, b"Q").unwrap_err().errno(),
        1
    );
    assert_eq!(
        disk.write_at(GuestOffset::ZERO, &[b'Q', b'F', b'I', 0])
            .unwrap_err()
            .errno(),
        1
    );
    disk.write_at(GuestOffset::ZERO, b"R").unwrap();
    disk.write_at(GuestOffset::new(512), b"QFI").unwrap();
}
