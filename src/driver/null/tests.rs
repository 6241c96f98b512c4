use std::time::Instant;

use super::*;

const LATENCY: Duration = Duration::from_millis(30);

fn takes(work: impl FnOnce() -> Result<()>) -> bool {
    let started = Instant::now();
    work().unwrap();
    started.elapsed() >= LATENCY
}

/// As measured with the real tool: reads, writes, zeros, and a flush behind a write.
#[test]
fn requests_take_the_latency() {
    let disk = Null::new("null-co", "null-co://".to_owned(), None, true, true);
    let disk = disk.with_latency(LATENCY);
    let place = GuestOffset::ZERO;
    assert!(takes(|| disk.read_at(place, &mut [0; 512])));
    assert!(!takes(|| disk.flush()));
    assert!(takes(|| disk.write_at(place, &[0; 512])));
    assert!(takes(|| disk.flush()));
    assert!(!takes(|| disk.flush()));
    assert!(takes(|| disk.write_zeroes(place, 512, ZeroFlags::empty())));
    assert!(!takes(|| disk.discard(place, 512)));
    assert!(takes(|| disk.close()));
}
