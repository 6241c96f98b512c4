use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::*;

#[test]
fn disjoint_ranges_are_held_together() {
    let locks = RangeLocks::default();
    let _first = locks.lock(0..10);
    let _second = locks.lock(10..20);
}

#[test]
fn an_overlapping_range_waits() {
    let locks = RangeLocks::default();
    let entered = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let first = locks.lock(0..10);
        scope.spawn(|| {
            let _second = locks.lock(9..12);
            entered.store(true, Ordering::SeqCst);
        });
        std::thread::sleep(Duration::from_millis(20));
        assert!(!entered.load(Ordering::SeqCst));
        drop(first);
    });
    assert!(entered.load(Ordering::SeqCst));
}
