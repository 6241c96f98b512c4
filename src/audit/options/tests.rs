use super::*;

#[test]
fn a_sample_stays_within_its_bytes() {
    let options = AuditOptions::default();
    let mut sampler = options.sampler(1 << 24, 1 << 16);
    let taken = (0..1 << 24).filter(|_| sampler.take()).count() as u64;
    assert_eq!(taken << 16, options.sample_bytes);
    assert!(!sampler.is_complete());
    assert!(options.sampler(4096, 1 << 16).is_complete());
    let full = AuditOptions {
        full: true,
        ..options
    };
    assert!(full.sampler(1 << 40, 1 << 16).is_complete());
}
