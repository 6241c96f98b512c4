use std::sync::Arc;

use super::*;
use crate::driver::memory::Memory;

#[test]
fn whatever_the_order_the_bytes_arrive() {
    let memory = Arc::new(Memory::new(Vec::new(), 8 << 20));
    let file = HostFile::new(memory.clone());
    let mut expected = vec![0_u8; 5 << 20];
    let mut writer = RunWriter::new(&file);
    let large = vec![7_u8; CAPACITY + 3];
    let pieces: [(usize, &[u8]); 7] = [
        (0, b"aaaa"),
        (4, b"bbbb"),
        (100, &large),
        (100 + large.len(), b"cc"),
        (102 + large.len(), &large[..CAPACITY - 1]),
        (2, b"dd"),
        (4_000_000, b"end"),
    ];
    for (at, data) in pieces {
        writer.write(HostOffset::new(at as u64), data).unwrap();
        expected[at..at + data.len()].copy_from_slice(data);
    }
    writer.finish().unwrap();
    let mut bytes = memory.snapshot();
    bytes.resize(expected.len(), 0);
    assert!(bytes == expected);
}
