use super::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[test]
fn readers_share_and_writers_wait() {
    let lock = RangeLock::default();
    let written = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let first = lock.share(GuestOffset::new(0), 100, 1);
        let second = lock.share(GuestOffset::new(50), 100, 1);
        scope.spawn(|| {
            let _own = lock.own(GuestOffset::new(10), 1, 512);
            written.store(true, Ordering::SeqCst);
        });
        std::thread::sleep(Duration::from_millis(30));
        assert!(!written.load(Ordering::SeqCst));
        drop(first);
        std::thread::sleep(Duration::from_millis(30));
        assert!(!written.load(Ordering::SeqCst));
        drop(second);
    });
    assert!(written.load(Ordering::SeqCst));
}

#[test]
fn disjoint_writers_do_not_meet() {
    let lock = RangeLock::default();
    let _first = lock.own(GuestOffset::new(0), 512, 512);
    let _second = lock.own(GuestOffset::new(512), 1, 512);
    let _reader = lock.share(GuestOffset::new(1024), 1, 1);
}
