use super::*;

#[test]
fn larger_images_choose_a_subset() {
    let (small, large) = (Chooser::new(1 << 18), Chooser::new(1 << 24));
    let granules = (0..1 << 17).map(|index| index * GRANULE);
    let chosen: Vec<u64> = granules.filter(|guest| large.takes(*guest)).collect();
    assert!(chosen.iter().all(|guest| small.takes(*guest)));
    // 2^24 sectors: about one granule of 256.
    assert!((256..1024).contains(&chosen.len()), "{}", chosen.len());
    assert!((0..1000).all(|guest| Chooser::new(1 << 16).takes(guest * GRANULE)));
}
