use super::*;
use crate::audit::disk::Storage;
use crate::base::GuestOffset;

fn runs(places: &[(u64, u64)]) -> Runs {
    let mut runs = Runs::default();
    for (guest, host) in places {
        let stored = Stored {
            host: HostOffset::new(*host),
            storage: Storage::Normal(u32::MAX),
            layers: &[0],
        };
        let cluster = Cluster {
            guest: GuestOffset::new(*guest),
            length: 65536,
            stored: &[stored],
        };
        runs.add(&stored, &cluster, 65536);
    }
    runs
}

#[test]
fn neighbours_are_joined() {
    let runs = runs(&[(0, 1 << 20), (65536, (1 << 20) + 65536), (1 << 30, 0)]);
    assert_eq!(runs.stretches().len(), 2);
    assert_eq!(runs.stretches()[0].length, 131_072);
}

#[test]
fn overlaps_modulo_the_period_are_counted_once() {
    let apart = runs(&[(0, 0), (1 << 20, PERIOD / 2)]);
    assert_eq!(apart.find_wraps(0).sectors, 0);
    let half = runs(&[(0, 0), (1 << 20, PERIOD + 32768)]);
    assert_eq!(half.find_wraps(0).sectors, 64);
    let three = runs(&[(0, 0), (1 << 20, PERIOD), (1 << 21, 2 * PERIOD)]);
    assert_eq!(three.find_wraps(0).sectors, 128);
    // The payload's start is number 0.
    let shifted = runs(&[(0, 4096), (1 << 20, PERIOD + 4096)]);
    assert_eq!(shifted.find_wraps(4096).sectors, 128);
}

#[test]
fn a_stretch_over_the_period_meets_its_own_start() {
    let mut runs = Runs::default();
    runs.push(0, 0, PERIOD + 512);
    assert_eq!(runs.find_wraps(0).sectors, 1);
}
