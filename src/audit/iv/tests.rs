use std::path::PathBuf;

use super::*;
use crate::driver::encryption::Encryption;

/// Fills the one cluster.
type Made<'a> = &'a dyn Fn(&Encryption, GuestOffset, HostOffset, &mut [u8]);

/// A legacy AES image of one cluster, made by hand: header, L1 table, L2 table, then the cluster.
fn image(made: Made<'_>) -> (tempfile::TempDir, PathBuf) {
    const CLUSTER: usize = 512;
    let mut bytes = vec![0; 5 * CLUSTER];
    bytes[..8].copy_from_slice(b"QFI\xfb\0\0\0\x02");
    let mut put =
        |offset: usize, value: &[u8]| bytes[offset..offset + value.len()].copy_from_slice(value);
    put(20, &9_u32.to_be_bytes());
    put(24, &(64_u64 * 512).to_be_bytes());
    put(32, &1_u32.to_be_bytes());
    put(36, &1_u32.to_be_bytes());
    put(40, &512_u64.to_be_bytes());
    put(48, &1024_u64.to_be_bytes());
    put(56, &1_u32.to_be_bytes());
    put(512, &(0x600_u64 | 1 << 63).to_be_bytes());
    // The tenth cluster of the disk, so that guest and file differ.
    put(1536 + 8 * 10, &(0x800_u64 | 1 << 63).to_be_bytes());
    let cipher = legacy_aes(&key(), None).unwrap();
    let encryption = Encryption::legacy_aes(cipher);
    let (guest, host) = (GuestOffset::new(10 * 512), HostOffset::new(2048));
    made(&encryption, guest, host, &mut bytes[2048..2560]);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image");
    std::fs::write(&path, bytes).unwrap();
    (directory, path)
}

fn key() -> Secret {
    Secret::new(b"pw".to_vec())
}

fn faults(made: Made<'_>) -> Vec<String> {
    let (_directory, path) = image(made);
    let key = key();
    let options = IvOptions {
        key: Some(&key),
        ..IvOptions::default()
    };
    judge(&path, &options).unwrap().faults()
}

#[test]
fn the_guests_sector_is_right_for_legacy_aes() {
    let right = faults(&|encryption, guest, host, bytes| {
        bytes.fill(0x41);
        encryption.encrypt(guest, host, bytes);
    });
    assert!(right.is_empty(), "{right:?}");
}

#[test]
fn wrong_numbers_and_plaintext_are_told() {
    let at_host = faults(&|encryption, _, host, bytes| {
        bytes.fill(0x41);
        encryption.encrypt(GuestOffset::new(host.bytes()), host, bytes);
    });
    assert_eq!(
        at_host,
        [
            "active: 0x1400..0x1600 at 0x800 of the file has its IV from the file's sector; \
          legacy AES in qcow2 takes the guest's sector"
        ]
    );
    // CBC shows a wrong number in the first block alone.
    let elsewhere = faults(&|encryption, _, host, bytes| {
        bytes.fill(0x41);
        encryption.encrypt(GuestOffset::new(512), host, bytes);
    });
    assert_eq!(
        elsewhere,
        [
            "active: 0x1400..0x1600 at 0x800 of the file has its IV from sector 1, which is none of \
          its own; legacy AES in qcow2 takes the guest's sector"
        ]
    );
    let clear = faults(&|_, _, _, bytes| bytes.fill(0x41));
    assert_eq!(
        clear,
        [
            "active: 0x1400..0x1600 at 0x800 of the file is in the clear",
            "plaintext at 0x800 of the file: byte 0x41 over and over",
            "plaintext at 0x900 of the file: byte 0x41 over and over",
        ]
    );
}

#[test]
fn noise_is_not_taken_for_anything() {
    let noise = faults(&|_, _, _, bytes| {
        for (index, byte) in (0_u32..).zip(bytes) {
            *byte = index.wrapping_mul(2_654_435_761).to_be_bytes()[0];
        }
    });
    assert_eq!(
        noise,
        [
            "active: 0x1400..0x1600 at 0x800 of the file is nothing that this key and any sector \
          number give"
        ]
    );
}
