use std::path::Path;

use super::*;
use crate::base::GuestOffset;
use crate::node::{Node, Preallocation, ZeroFlags};

fn options() -> FileOptions {
    FileOptions {
        writable: true,
        create: true,
        discard: true,
        ..FileOptions::default()
    }
}

fn open(path: &Path, options: FileOptions) -> File {
    File::open(path.to_str().unwrap(), options).unwrap()
}

fn at(offset: u64) -> GuestOffset {
    GuestOffset::new(offset)
}

fn read(file: &File, offset: u64, length: usize) -> Vec<u8> {
    let mut buffer = vec![0xee; length];
    file.read_at(at(offset), &mut buffer).unwrap();
    buffer
}

#[test]
fn reads_past_the_end_are_zeros_and_writes_grow_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f");
    let file = open(&path, options());
    file.write_at(at(1000), &[7; 10]).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 1010);
    // Lengths count whole sectors.
    assert_eq!(file.length().unwrap(), 1024);
    assert_eq!(
        read(&file, 995, 20),
        [vec![0; 5], vec![7; 10], vec![0; 5]].concat()
    );
    assert_eq!(read(&file, 1 << 40, 3), [0; 3]);
}

#[test]
fn zeroing_and_discarding_give_space_back() {
    let directory = tempfile::tempdir().unwrap();
    let file = open(&directory.path().join("f"), options());
    file.write_at(at(0), &vec![1; 1 << 20]).unwrap();
    let full = file.allocated_bytes().unwrap();
    file.discard(at(0), 256 << 10).unwrap();
    file.write_zeroes(at(256 << 10), 256 << 10, ZeroFlags::MAY_UNMAP)
        .unwrap();
    let half = file.allocated_bytes().unwrap();
    assert!(half <= full - (512 << 10) + (64 << 10), "{full} {half}");
    assert!(read(&file, 0, 512 << 10).iter().all(|byte| *byte == 0));
    let hole = file.extent(at(0), 1 << 20).unwrap();
    assert!(
        hole.zero && !hole.data && hole.length == 512 << 10,
        "{hole:?}"
    );
    let data = file.extent(at(512 << 10), 1 << 30).unwrap();
    assert!(data.data && data.length == 512 << 10, "{data:?}");
    assert_eq!(file.extent(at(1 << 20), 100).unwrap().length, 0);
    // Odd bounds, and past the end.
    file.write_zeroes(at((1 << 20) - 100), 300, ZeroFlags::empty())
        .unwrap();
    assert_eq!(read(&file, (1 << 20) - 101, 2), [1, 0]);
    file.write_zeroes(at(5 << 20), 1 << 20, ZeroFlags::empty())
        .unwrap();
    assert_eq!(file.length().unwrap(), 6 << 20);
}

#[test]
fn resizing_reserves_what_it_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let file = open(&directory.path().join("f"), options());
    file.resize(1 << 20, Preallocation::Off).unwrap();
    let before = file.allocated_bytes().unwrap();
    file.resize(2 << 20, Preallocation::Falloc).unwrap();
    assert!(file.allocated_bytes().unwrap() >= before + (1 << 20));
    file.resize(3 << 20, Preallocation::Full).unwrap();
    assert!(file.allocated_bytes().unwrap() >= before + (2 << 20));
    let refused = file.resize(1 << 20, Preallocation::Full).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Cannot use preallocation for shrinking files"
    );
    file.resize(512, Preallocation::Off).unwrap();
    assert_eq!(file.length().unwrap(), 512);
}

#[test]
fn direct_io_takes_any_offset_and_length() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f");
    std::fs::write(&path, vec![3; 10_000]).unwrap();
    let direct = FileOptions {
        direct: true,
        ..options()
    };
    let Ok(file) = File::open(path.to_str().unwrap(), direct) else {
        eprintln!("skipped(no O_DIRECT here)");
        return;
    };
    assert_eq!(read(&file, 9_990, 20), [vec![3; 10], vec![0; 10]].concat());
    file.write_at(at(4_095), &[9; 3]).unwrap();
    file.write_at(at(9_999), &[8; 5]).unwrap();
    let long: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    file.write_at(at(20_001), &long).unwrap();
    assert_eq!(read(&file, 20_001, long.len()), long);
    file.close().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes.len(), 20_001 + long.len());
    assert_eq!(bytes[4_094..4_099], [3, 9, 9, 9, 3]);
    assert_eq!(bytes[9_998..10_005], [3, 8, 8, 8, 8, 8, 0]);
    assert_eq!(bytes[20_001..], long);
}

// Observed with `qemu-img info` 10.0.2.
#[test]
fn failures_have_the_real_words() {
    let words = |name: &str| {
        File::open(name, FileOptions::default())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(words(""), "The 'file' block driver requires a file name");
    assert_eq!(
        words("/nope/x"),
        "Could not open '/nope/x': No such file or directory"
    );
    assert_eq!(
        words("/tmp"),
        "'file' driver requires '/tmp' to be a regular file"
    );
    let writable = File::open("/tmp", options()).unwrap_err();
    assert_eq!(
        writable.to_string(),
        "Could not open '/tmp': Is a directory"
    );
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f");
    std::fs::write(&path, [0; 512]).unwrap();
    let file = open(&path, FileOptions::default());
    assert_eq!(
        file.write_at(at(0), &[1]).unwrap_err().to_string(),
        "Operation not permitted"
    );
}

/// Writers that make the file longer side by side: none may cut off what another wrote.
fn growing_side_by_side(direct: bool) {
    const PIECE: u64 = 3 * 512;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f");
    let options = FileOptions {
        direct,
        ..options()
    };
    let Ok(file) = File::open(path.to_str().unwrap(), options) else {
        eprintln!("skipped(no O_DIRECT here)");
        return;
    };
    for round in 0..60 {
        file.resize(0, Preallocation::Off).unwrap();
        std::thread::scope(|scope| {
            for worker in 0..4_u64 {
                let file = &file;
                scope.spawn(move || {
                    for step in 0..8 {
                        let offset = at((step * 4 + worker) * PIECE);
                        let length = usize::try_from(PIECE).unwrap();
                        match worker {
                            0 => file.write_zeroes(offset, PIECE, ZeroFlags::empty()),
                            1 => file.write_zeroes(offset, PIECE, ZeroFlags::MAY_UNMAP),
                            _ => file.write_at(offset, &vec![7; length]),
                        }
                        .unwrap();
                    }
                });
            }
        });
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len() as u64, 32 * PIECE, "round {round}");
        for (index, byte) in bytes.iter().enumerate() {
            let worker = index as u64 / PIECE % 4;
            assert_eq!(
                *byte,
                if worker < 2 { 0 } else { 7 },
                "round {round} byte {index}"
            );
        }
    }
}

#[test]
fn nobody_cuts_off_what_another_wrote() {
    growing_side_by_side(false);
}

#[test]
fn nobody_cuts_off_what_another_wrote_past_the_page_cache() {
    growing_side_by_side(true);
}
