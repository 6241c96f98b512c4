//! IVs of an encrypted image come from the guest sector, whoever stores the data; a mutant that takes the host sector
//! must be caught.

use super::*;
use crate::base::iv_sector::SECTOR_SIZE;
use crate::base::{GuestOffset, IvSector};
use crate::crypto::cipher::SharedCipher;
use crate::crypto::legacy_aes;
use crate::driver::encryption::mutant::in_mutant;
use crate::job::commit::{self, Commit};
use crate::job::progress::Silent;
use crate::node::{Node, SharedNode};

const SIZE: u64 = 64 << 10;

fn be64(bytes: &[u8], offset: u64) -> u64 {
    let at = usize::try_from(offset).unwrap();
    u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn noise(length: usize, salt: usize) -> Vec<u8> {
    (0..length)
        .map(|i| u8::try_from((i / 3 + i * salt) % 253).unwrap())
        .collect()
}

/// Every stored sector deciphers under its guest sector; gives how many there are.
fn judge(bytes: &[u8], cipher: &SharedCipher, disk: &[u8]) -> Result<usize, String> {
    let (cluster_bits, l2_bits) = (bytes[32], bytes[33]);
    let l1 = be64(bytes, 40);
    let mut judged = 0;
    for guest in (0..SIZE).step_by(SECTOR_SIZE) {
        let table = be64(bytes, l1 + (guest >> (cluster_bits + l2_bits)) * 8);
        let index = (guest >> cluster_bits) & ((1 << l2_bits) - 1);
        let host = if table == 0 {
            0
        } else {
            be64(bytes, table + index * 8)
        };
        if host == 0 {
            continue;
        }
        let inside = guest & ((1 << cluster_bits) - 1);
        let start = usize::try_from(host + inside).unwrap();
        let mut sector = bytes[start..start + SECTOR_SIZE].to_vec();
        cipher.decrypt(IvSector::from_guest(GuestOffset::new(guest)), &mut sector);
        let at = usize::try_from(guest).unwrap();
        if sector != disk[at..at + SECTOR_SIZE] {
            return Err(format!(
                "sector at {guest:#x} is not encrypted under its guest sector"
            ));
        }
        judged += 1;
    }
    Ok(judged)
}

/// Writes with heads and tails over a backing file, and a commit from a layer above.
fn history() -> Result<usize, String> {
    let below = noise(usize::try_from(SIZE).unwrap(), 3);
    let fixture = open_bytes(created(SIZE, Some("base.raw"), Some("pw")), Some("pw")).unwrap();
    let base: SharedNode = Arc::new(Memory::new(below.clone(), 1 << 20));
    fixture.image.set_backing(Some(base)).unwrap();
    let mut disk = below;
    let mut write = |node: &dyn Node, offset: usize, data: &[u8]| {
        node.write_at(GuestOffset::new(offset as u64), data)
            .unwrap();
        disk[offset..offset + data.len()].copy_from_slice(data);
    };
    write(&*fixture.image, 1000, &noise(5000, 5));
    write(&*fixture.image, 20_000, &noise(100, 7));
    write(&*fixture.image, 20_050, &noise(100, 11));
    let above = open_bytes(created(SIZE, Some("below.qcow"), None), None).unwrap();
    let target: SharedNode = fixture.image.clone();
    above.image.set_backing(Some(target.clone())).unwrap();
    write(&*above.image, 40_001, &noise(3000, 13));
    let top: SharedNode = above.image.clone();
    commit::run(&Commit {
        top: &top,
        base: &target,
        empty_top: true,
        workers: 1,
        rate: None,
        progress: &Silent,
    })
    .unwrap();
    fixture.image.flush().unwrap();
    let key = Secret::new(b"pw".to_vec());
    let cipher = legacy_aes(&key, None).unwrap();
    judge(&fixture.memory.snapshot(), &cipher, &disk)
}

#[test]
fn every_stored_sector_is_encrypted_under_its_guest_sector() {
    assert!(history().is_ok_and(|sectors| sectors > 15));
    let mutant = in_mutant(true, history);
    assert!(mutant.is_err_and(|why| why.contains("is not encrypted under")));
}
