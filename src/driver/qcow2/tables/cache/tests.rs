use super::*;

fn at(index: u64) -> HostOffset {
    HostOffset::new(index * 4096)
}

#[test]
fn dirty_ranges_grow_in_sectors_and_are_cleaned() {
    let mut cache = TableCache::new(1 << 20, 4096);
    cache.insert(at(1), vec![0; 4096].into(), false);
    assert!(!cache.is_dirty());
    cache.change(at(1), 600..608).unwrap()[600] = 7;
    cache.change(at(1), 1030..1031).unwrap();
    let (place, bytes) = cache.dirty_bytes(at(1), false).unwrap();
    assert_eq!(
        (place, bytes.len(), bytes[88]),
        (HostOffset::new(4096 + 512), 1024, 7)
    );
    cache.mark_clean(at(1));
    assert!(!cache.is_dirty() && cache.dirty_bytes(at(1), false).is_none());
}

#[test]
fn a_full_cache_offers_an_unused_victim() {
    let mut cache = TableCache::new(0, 4096);
    for index in 0..4 {
        assert_eq!(cache.victim(), None);
        cache.insert(at(index), vec![0; 4096].into(), index == 2);
    }
    let (first, _) = cache.victim().unwrap();
    cache.forget(first);
    cache.insert(at(9), vec![0; 4096].into(), false);
    cache.peek(at(2));
    let (second, dirty) = cache.victim().unwrap();
    assert!(second != at(2) && second != first && !dirty);
    cache.forget(at(2));
    assert!(!cache.is_dirty() && cache.peek(at(2)).is_none() && cache.peek(at(9)).is_some());
}
