//! Each fast path against a slow one: the oracles cipher one sector at a time with other crates.

use std::process::Command;

use cipher::consts::{U8, U16};
use cipher::{
    BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, BlockSizeUser,
    KeyInit, KeyIvInit, StreamCipher,
};
use parking_lot::Mutex;

use super::*;
use crate::base::{GuestOffset, HostOffset, PayloadOffset};

const SECTORS: [usize; 9] = [0, 1, 2, 7, 8, 9, 64, 129, 300];

fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    (0..length)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state.to_be_bytes()[0]
        })
        .collect()
}

fn first_sector(number: u64) -> IvSector {
    // Sector numbers near 2^64 can't be offsets; stepping gets there.
    IvSector::from_payload(PayloadOffset::ZERO).step(number)
}

/// The IV of one sector, by the book (luks1 §2).
fn iv(suite: CipherSuite, key: &[u8], number: u64) -> Vec<u8> {
    let mut iv = vec![0; suite.algorithm.block_bytes()];
    match suite.iv {
        IvAlgorithm::Plain => iv[..4].copy_from_slice(&number.to_le_bytes()[..4]),
        IvAlgorithm::Plain64 => iv[..8].copy_from_slice(&number.to_le_bytes()),
        IvAlgorithm::Essiv => {
            iv[..8].copy_from_slice(&number.to_le_bytes());
            let hash = suite.iv_hash.unwrap();
            let essiv_key = hash.digest(&[key]);
            match (suite.algorithm.family().luks_name(), essiv_key.len()) {
                ("aes", 16) => one_block::<aes::Aes128>(&essiv_key, &mut iv),
                ("aes", 32) => one_block::<aes::Aes256>(&essiv_key, &mut iv),
                ("serpent", _) => one_block::<serpent::Serpent>(&essiv_key, &mut iv),
                ("twofish", _) => one_block::<twofish::Twofish>(&essiv_key, &mut iv),
                ("cast5", 16) => one_block::<cast5::Cast5>(&essiv_key, &mut iv),
                other => panic!("{other:?}"),
            }
        }
    }
    iv
}

fn one_block<C: KeyInit + BlockCipherEncrypt>(key: &[u8], block: &mut [u8]) {
    let cipher = C::new_from_slice(key).unwrap();
    cipher.encrypt_block(block.try_into().unwrap());
}

fn ecb<C: KeyInit + BlockCipherEncrypt>(key: &[u8], sector: &mut [u8]) {
    let cipher = C::new_from_slice(key).unwrap();
    for block in sector.chunks_exact_mut(C::block_size()) {
        cipher.encrypt_block(block.try_into().unwrap());
    }
}

fn cbc_sector<C: KeyInit + BlockCipherEncrypt>(key: &[u8], iv: &[u8], sector: &mut [u8]) {
    let cipher = C::new_from_slice(key).unwrap();
    let mut mode =
        <::cbc::Encryptor<C> as cipher::InnerIvInit>::inner_iv_slice_init(cipher, iv).unwrap();
    for block in sector.chunks_exact_mut(C::block_size()) {
        mode.encrypt_block(block.try_into().unwrap());
    }
}

fn ctr_sector_16<C: KeyInit + BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>>(
    key: &[u8],
    iv: &[u8],
    sector: &mut [u8],
) {
    let cipher = C::new_from_slice(key).unwrap();
    let core =
        <::ctr::CtrCore<C, ::ctr::flavors::Ctr128BE> as cipher::InnerIvInit>::inner_iv_slice_init(
            cipher, iv,
        )
        .unwrap();
    cipher::StreamCipherCoreWrapper::from_core(core).apply_keystream(sector);
}

fn ctr_sector_8<C: KeyInit + BlockCipherEncrypt + BlockSizeUser<BlockSize = U8>>(
    key: &[u8],
    iv: &[u8],
    sector: &mut [u8],
) {
    let cipher = C::new_from_slice(key).unwrap();
    let core =
        <::ctr::CtrCore<C, ::ctr::flavors::Ctr64BE> as cipher::InnerIvInit>::inner_iv_slice_init(
            cipher, iv,
        )
        .unwrap();
    cipher::StreamCipherCoreWrapper::from_core(core).apply_keystream(sector);
}

fn xts_sector<C>(key: &[u8], iv: &[u8], sector: &mut [u8])
where
    C: KeyInit + BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16>,
{
    let (data, tweak) = key.split_at(key.len() / 2);
    let xts = xts_mode::Xts128::new(
        C::new_from_slice(data).unwrap(),
        C::new_from_slice(tweak).unwrap(),
    );
    xts.encrypt_sector(sector, iv.try_into().unwrap());
}

fn slow_16<C>(suite: CipherSuite, key: &[u8], iv: &[u8], sector: &mut [u8])
where
    C: KeyInit + BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16>,
{
    match suite.mode {
        CipherMode::Ecb => ecb::<C>(key, sector),
        CipherMode::Cbc => cbc_sector::<C>(key, iv, sector),
        CipherMode::Ctr => ctr_sector_16::<C>(key, iv, sector),
        CipherMode::Xts => xts_sector::<C>(key, iv, sector),
    }
}

fn slow(suite: CipherSuite, key: &[u8], number: u64, sector: &mut [u8]) {
    let iv = iv(suite, key, number);
    match suite.algorithm {
        CipherAlgorithm::Aes128 => slow_16::<aes::Aes128>(suite, key, &iv, sector),
        CipherAlgorithm::Aes192 => slow_16::<aes::Aes192>(suite, key, &iv, sector),
        CipherAlgorithm::Aes256 => slow_16::<aes::Aes256>(suite, key, &iv, sector),
        CipherAlgorithm::Serpent128 | CipherAlgorithm::Serpent192 | CipherAlgorithm::Serpent256 => {
            slow_16::<serpent::Serpent>(suite, key, &iv, sector);
        }
        CipherAlgorithm::Twofish128 | CipherAlgorithm::Twofish192 | CipherAlgorithm::Twofish256 => {
            slow_16::<twofish::Twofish>(suite, key, &iv, sector);
        }
        CipherAlgorithm::Cast5 => match suite.mode {
            CipherMode::Ecb => ecb::<cast5::Cast5>(key, sector),
            CipherMode::Cbc => cbc_sector::<cast5::Cast5>(key, &iv, sector),
            CipherMode::Ctr => ctr_sector_8::<cast5::Cast5>(key, &iv, sector),
            CipherMode::Xts => panic!("XTS needs blocks of 16 bytes"),
        },
    }
}

/// Every combination that exists.
fn suites() -> Vec<CipherSuite> {
    let mut all = Vec::new();
    for algorithm in CipherAlgorithm::ALL {
        for mode in CipherMode::ALL {
            for iv in IvAlgorithm::ALL {
                for iv_hash in HashAlgorithm::ALL {
                    let suite = CipherSuite {
                        algorithm,
                        mode,
                        iv,
                        iv_hash: Some(iv_hash),
                    };
                    let needed = iv == IvAlgorithm::Essiv || iv_hash == HashAlgorithm::Sha256;
                    if needed && suite.validate().is_ok() {
                        all.push(suite);
                    }
                }
            }
        }
    }
    all
}

#[test]
fn every_suite_is_the_slow_oracle_and_comes_back() {
    let suites = suites();
    // 9 ciphers of 16-byte blocks in 4 modes, CAST5 in 3; plain and plain64 everywhere, ESSIV with md5, sha256, sm3
    // (CAST5: md5 only).
    assert_eq!(suites.len(), 9 * 4 * (2 + 3) + 3 * (2 + 1));
    for (suite, seed) in suites.iter().zip(1..) {
        let key = noise(suite.key_bytes(), seed);
        let cipher = suite.keyed(&key, None).unwrap();
        for (first, sectors) in [(0, 9), ((1 << 32) - 3, 7)] {
            let plain = noise(sectors * SECTOR_SIZE, seed + 99);
            let mut expected = plain.clone();
            for (sector, step) in expected.chunks_exact_mut(SECTOR_SIZE).zip(0..) {
                slow(*suite, &key, first + step, sector);
            }
            let mut data = plain.clone();
            cipher.encrypt(first_sector(first), &mut data);
            assert!(data == expected, "{suite:?} at {first}");
            cipher.decrypt(first_sector(first), &mut data);
            assert!(data == plain, "{suite:?} at {first}");
        }
    }
}

/// Batches and groups have seams: every run length around them.
#[test]
fn the_length_of_a_run_does_not_matter() {
    for mode in CipherMode::ALL {
        let suite = CipherSuite {
            mode,
            ..CipherSuite::default()
        };
        let key = noise(suite.key_bytes(), 5);
        let cipher = suite.keyed(&key, None).unwrap();
        for sectors in SECTORS {
            let plain = noise(sectors * SECTOR_SIZE, 6);
            let mut data = plain.clone();
            cipher.encrypt(first_sector(77), &mut data);
            for (index, (sector, step)) in data.chunks_exact(SECTOR_SIZE).zip(77..).enumerate() {
                let mut alone = plain[index * SECTOR_SIZE..][..SECTOR_SIZE].to_vec();
                slow(suite, &key, step, &mut alone);
                assert!(alone == sector, "{mode} sector {index} of {sectors}");
            }
            cipher.decrypt(first_sector(77), &mut data);
            assert!(data == plain, "{mode} {sectors}");
        }
    }
}

/// IEEE 1619-2007, vector 2: 32 bytes of data unit 0x3333333333, the start of a sector here.
#[test]
fn xts_is_the_standards() {
    let mut key = vec![0x11; 16];
    key.extend([0x22; 16]);
    let suite = CipherSuite {
        algorithm: CipherAlgorithm::Aes128,
        ..CipherSuite::default()
    };
    let cipher = suite.keyed(&key, None).unwrap();
    let mut data = [0x44; SECTOR_SIZE];
    cipher.encrypt(first_sector(0x33_3333_3333), &mut data);
    let expected = [
        0xc4, 0x54, 0x18, 0x5e, 0x6a, 0x16, 0x93, 0x6e, 0x39, 0x33, 0x40, 0x38, 0xac, 0xef, 0x83,
        0x8b, 0xfb, 0x18, 0x6f, 0xff, 0x74, 0x80, 0xad, 0xc4, 0x28, 0x93, 0x82, 0xec, 0xd6, 0xd3,
        0x94, 0xf0,
    ];
    assert_eq!(data[..32], expected);
}

/// The real tool writes guest offset 64 KiB of a fresh image to 0x50000 (iv-domains §6.1).
#[test]
fn legacy_aes_is_the_real_tools() {
    if Command::new("qemu-img").arg("--version").output().is_err() {
        eprintln!("skipped(no qemu-img)");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("aes.qcow2");
    let path = path.to_str().unwrap();
    let object = ["--object", "secret,id=s,data=pw"];
    let run = |tool: &str, arguments: &[&str]| {
        let output = Command::new(tool)
            .args(object)
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{tool} {arguments:?}");
    };
    let image = format!("driver=qcow2,file.filename={path},encrypt.key-secret=s");
    let create = [
        "create",
        "-f",
        "qcow2",
        "-o",
        "encrypt.format=aes,encrypt.key-secret=s",
    ];
    let output = Command::new("qemu-img")
        .args(create)
        .args(object)
        .args([path, "1M"])
        .output()
        .unwrap();
    assert!(output.status.success());
    run(
        "qemu-io",
        &["-c", "write -P 0x41 64k 64k", "--image-opts", &image],
    );
    let cipher = legacy_aes(&Secret::new(b"pw".to_vec()), None).unwrap();
    let mut data = vec![0x41; 65536];
    cipher.encrypt(IvSector::from_guest(GuestOffset::new(65536)), &mut data);
    assert!(std::fs::read(path).unwrap()[0x50000..0x60000] == data);
}

#[test]
fn legacy_keys_are_sixteen_bytes() {
    for password in [
        "sixteen bytes..\0",
        "sixteen bytes..\0and more",
        "sixteen bytes..",
    ] {
        let cipher = legacy_aes(&Secret::new(password.into()), None).unwrap();
        let mut data = [0; SECTOR_SIZE];
        cipher.encrypt(first_sector(0), &mut data);
        let mut expected = [0; SECTOR_SIZE];
        let suite = CipherSuite {
            algorithm: CipherAlgorithm::Aes128,
            mode: CipherMode::Cbc,
            ..CipherSuite::default()
        };
        slow(suite, b"sixteen bytes..\0", 0, &mut expected);
        assert_eq!(data, expected);
    }
}

#[derive(Default)]
struct Recorder(Mutex<Vec<(Direction, u64, u64)>>);

impl IvObserver for Recorder {
    fn passed(&self, direction: Direction, first: IvSector, sectors: u64) {
        self.0.lock().push((direction, first.number(), sectors));
    }
}

#[test]
fn every_run_is_reported_with_its_domain_s_number() {
    let recorder = Arc::new(Recorder::default());
    for mode in CipherMode::ALL {
        let suite = CipherSuite {
            mode,
            ..CipherSuite::default()
        };
        let key = noise(suite.key_bytes(), 5);
        let cipher = suite.keyed(&key, Some(recorder.clone())).unwrap();
        cipher.encrypt(IvSector::from_guest(GuestOffset::new(1024)), &mut [0; 512]);
        cipher.decrypt(IvSector::from_host(HostOffset::new(65536)), &mut [0; 1536]);
        let seen = std::mem::take(&mut *recorder.0.lock());
        assert_eq!(
            seen,
            [(Direction::Encrypt, 2, 1), (Direction::Decrypt, 128, 3)],
            "{mode}"
        );
    }
}

#[test]
fn keys_of_another_length_are_refused() {
    let suite = CipherSuite::default();
    for length in [0, 32, 63, 65] {
        assert!(suite.keyed(&vec![0; length], None).is_err());
    }
}

/// CBC decryption has an oracle of its own: the one above only encrypts.
#[test]
fn cbc_decryption_is_the_crate_s() {
    let suite = CipherSuite {
        mode: CipherMode::Cbc,
        ..CipherSuite::default()
    };
    let key = noise(32, 1);
    let stored = noise(20 * SECTOR_SIZE, 2);
    let mut ours = stored.clone();
    suite
        .keyed(&key, None)
        .unwrap()
        .decrypt(first_sector(0), &mut ours);
    for (number, (sector, ours)) in (0..).zip(
        stored
            .chunks_exact(SECTOR_SIZE)
            .zip(ours.chunks_exact(SECTOR_SIZE)),
    ) {
        let mut sector = sector.to_vec();
        let iv = iv(suite, &key, number);
        let mut mode = ::cbc::Decryptor::<aes::Aes256>::new_from_slices(&key, &iv).unwrap();
        for block in sector.chunks_exact_mut(16) {
            mode.decrypt_block(block.try_into().unwrap());
        }
        assert_eq!(sector, ours);
    }
}
