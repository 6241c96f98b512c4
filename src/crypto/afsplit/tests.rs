use super::*;

#[test]
fn a_split_key_is_merged_again() {
    for hash in HashAlgorithm::ALL {
        // Shorter than a digest, equal, longer, not a multiple.
        for length in [1, 16, 20, 32, 48, 64, 65] {
            let key: Vec<u8> = (0..length).collect();
            let material = split(hash, &key, 50).unwrap();
            assert_eq!(material.len(), key.len() * 50);
            assert_eq!(*merge(hash, &material, key.len()), key, "{hash} {length}");
        }
    }
}

#[test]
fn losing_any_bit_loses_the_key() {
    let key = [0x5a; 32];
    let mut material = split(HashAlgorithm::Sha256, &key, 10).unwrap();
    for position in [0, 31, 32, 150, 319] {
        material[position] ^= 1;
        assert_ne!(*merge(HashAlgorithm::Sha256, &material, 32), key);
        material[position] ^= 1;
    }
    assert_eq!(*merge(HashAlgorithm::Sha256, &material, 32), key);
}

/// By the formula of luks1 §4, written out.
#[test]
fn merging_is_the_formula() {
    let material: Vec<u8> = (0..120).collect();
    let hash = HashAlgorithm::Sha1;
    let mut sum = vec![0; 30];
    for stripe in material[..90].chunks(30) {
        let mixed: Vec<u8> = sum.iter().zip(stripe).map(|(a, b)| a ^ b).collect();
        sum = hash.digest(&[&[0, 0, 0, 0], &mixed[..20]]);
        sum.extend(&hash.digest(&[&[0, 0, 0, 1], &mixed[20..]])[..10]);
    }
    let expected: Vec<u8> = sum
        .iter()
        .zip(&material[90..])
        .map(|(a, b)| a ^ b)
        .collect();
    assert_eq!(*merge(hash, &material, 30), expected);
}

#[test]
fn no_two_splits_are_alike() {
    let first = split(HashAlgorithm::Sha256, &[1; 32], 4).unwrap();
    let second = split(HashAlgorithm::Sha256, &[1; 32], 4).unwrap();
    assert_ne!(first[..32], second[..32]);
}
