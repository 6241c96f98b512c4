use super::*;
use crate::audit::disk::Stored;
use crate::base::{GuestOffset, HostOffset};

#[test]
fn ranges_are_joined_and_counted_beyond_what_is_kept() {
    let mut ranges = Ranges::default();
    for index in 0..100 {
        ranges.add(index * 1024, 512);
        ranges.add(index * 1024 + 512, 256);
    }
    assert_eq!(ranges.count, 100);
    assert_eq!(ranges.first.len(), RANGES_KEPT);
    assert!(ranges.first.iter().all(|(_, length)| *length == 768));
}

#[test]
fn subclusters_share_only_what_both_hold() {
    let stored = |host, mask| Stored {
        host: HostOffset::new(host),
        storage: Storage::Normal(mask),
        layers: &[0],
    };
    let sectors = |one, other, length| {
        let cluster = Cluster {
            guest: GuestOffset::ZERO,
            length,
            stored: &[stored(0, one), stored(65536, other)],
        };
        shared_sectors(&cluster, 65536)
    };
    assert_eq!(sectors(u32::MAX, u32::MAX, 65536), 128);
    assert_eq!(sectors(0b0111, 0b1110, 65536), 8);
    assert_eq!(sectors(0b0111, 0b1000, 65536), 0);
    assert_eq!(sectors(u32::MAX, u32::MAX, 1536), 3);
}
