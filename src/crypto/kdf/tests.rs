use super::*;

#[test]
fn pbkdf2_is_the_crate_s_for_every_hash_and_length() {
    for hash in HashAlgorithm::ALL {
        let digest = hash.digest_bytes();
        for length in [1, digest - 1, digest, digest + 1, 64, 3 * digest + 5] {
            let mut ours = vec![0; length];
            pbkdf2(hash, b"password", b"salt", 3, &mut ours);
            let mut theirs = vec![0; length];
            with_digest!(hash, D => ::pbkdf2::pbkdf2_hmac::<D>(b"password", b"salt", 3, &mut theirs));
            assert_eq!(ours, theirs, "{hash} {length}");
        }
    }
}

#[test]
fn sha256_s_own_loop_takes_passwords_of_any_length() {
    for length in [0, 1, 63, 64, 65, 200] {
        let password: Vec<u8> = (1..=length).collect();
        for iterations in [1, 2, 1000] {
            let (mut ours, mut theirs) = ([0; 80], [0; 80]);
            pbkdf2(
                HashAlgorithm::Sha256,
                &password,
                b"salt",
                iterations,
                &mut ours,
            );
            ::pbkdf2::pbkdf2_hmac::<sha2::Sha256>(&password, b"salt", iterations, &mut theirs);
            assert_eq!(ours, theirs, "{length} bytes, {iterations} iterations");
        }
    }
}

/// RFC 6070, vectors 2 and 5.
#[test]
fn pbkdf2_is_the_standard_s() {
    let mut key = [0; 20];
    pbkdf2(HashAlgorithm::Sha1, b"password", b"salt", 2, &mut key);
    assert_eq!(key[..4], [0xea, 0x6c, 0x01, 0x4d]);
    let mut key = [0; 25];
    let password = b"passwordPASSWORDpassword";
    let salt = b"saltSALTsaltSALTsaltSALTsaltSALTsalt";
    pbkdf2(HashAlgorithm::Sha1, password, salt, 4096, &mut key);
    assert_eq!(key[..4], [0x3d, 0x2e, 0xec, 0x4f]);
    assert_eq!(key[21..], [0x8c, 0xf2, 0xf0, 0x70, 0x38][1..]);
}

#[test]
fn iterations_scale_with_time_and_have_a_floor_and_a_cap() {
    assert_eq!(scale(1_000_000, 2000, 1).unwrap(), 2_000_000);
    assert_eq!(scale(1_000_000, 2000, 8).unwrap(), 250_000);
    assert_eq!(scale(1_000_000, 1, 8).unwrap(), ITERATIONS_MIN);
    assert_eq!(
        iterations_for(HashAlgorithm::Sha256, 64, 0, 1).unwrap(),
        1000
    );
    let words = |time| scale(7_389_766, time, 1).unwrap_err().to_string();
    assert_eq!(
        words(-3),
        "PBKDF iterations 7389766 too large to scale: Numerical result out of range"
    );
    assert_eq!(
        words(i64::MAX),
        "PBKDF iterations 7389766 too large to scale: Numerical result out of range"
    );
    assert_eq!(
        words(1_000_000_000),
        "PBKDF iterations 7389766000000 larger than 4294967295: Numerical result out of range"
    );
    assert_eq!(
        words(100_000),
        "PBKDF iterations 738976600 larger than the cap of 100000000"
    );
}

#[test]
fn measuring_takes_milliseconds_and_finds_a_plausible_rate() {
    let start = Instant::now();
    let iterations = iterations_for(HashAlgorithm::Sha256, 64, 1000, 1).unwrap();
    assert!(start.elapsed() < Duration::from_secs(2));
    assert!(iterations > 10_000, "{iterations}");
}
