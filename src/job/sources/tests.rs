use std::sync::Arc;

use super::*;
use crate::driver::memory::Memory;

fn file(bytes: &[u8]) -> SharedNode {
    Arc::new(Memory::new(bytes.to_vec(), 1 << 20))
}

#[test]
fn odd_sizes_are_padded_to_sectors() {
    let sources = Sources::join(&[file(&[1; 700]), file(&[]), file(&[2; 512])]).expect("joins");
    assert_eq!(sources.length(), 1024 + 512);
    let mut all = vec![9; 1536];
    sources.read_at(GuestOffset::ZERO, &mut all).expect("reads");
    assert!(all[..700].iter().all(|byte| *byte == 1));
    assert!(all[700..1024].iter().all(|byte| *byte == 0));
    assert!(all[1024..].iter().all(|byte| *byte == 2));
    let (content, length) = sources
        .content(GuestOffset::ZERO, 1536)
        .expect("has content");
    assert_eq!((content, length), (Content::Data, 1024));
}

#[test]
fn nothing_lies_behind_the_end() {
    let sources = Sources::join(&[file(&[1; 512])]).expect("joins");
    assert!(sources.read_at(GuestOffset::new(1), &mut [0; 512]).is_err());
    assert!(sources.content(GuestOffset::new(512), 1).is_err());
}

#[test]
fn a_window_starts_and_ends_inside() {
    let bytes: Vec<u8> = (0..=255).cycle().take(2000).collect();
    let sources = Sources::window(&file(&bytes), 100, 1200).expect("opens");
    assert_eq!(sources.length(), 1536);
    let mut read = vec![9; 1536];
    sources
        .read_at(GuestOffset::ZERO, &mut read)
        .expect("reads");
    assert_eq!(read[..1100], bytes[100..1200]);
    assert!(read[1100..].iter().all(|byte| *byte == 0));
    let behind = Sources::window(&file(&bytes), 3000, u64::MAX).expect("opens");
    assert_eq!(behind.length(), 0);
}
