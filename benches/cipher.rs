//! Speed of the ciphers, of key derivation and of the codecs: `cargo bench --bench cipher`.

use std::hint::black_box;
use std::time::Duration;

use cowproof::base::PayloadOffset;
use cowproof::base::iv_sector::IvSector;
use cowproof::codec::Compression;
use cowproof::crypto::{CipherAlgorithm, CipherMode, CipherSuite, HashAlgorithm, IvAlgorithm, kdf};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn suites() -> Vec<(&'static str, CipherSuite)> {
    let aes_256_xts = CipherSuite::default();
    vec![
        ("aes-256-xts-plain64", aes_256_xts),
        (
            "aes-128-cbc-plain64",
            CipherSuite {
                algorithm: CipherAlgorithm::Aes128,
                mode: CipherMode::Cbc,
                ..aes_256_xts
            },
        ),
        (
            "aes-256-cbc-essiv",
            CipherSuite {
                mode: CipherMode::Cbc,
                iv: IvAlgorithm::Essiv,
                iv_hash: Some(HashAlgorithm::Sha256),
                ..aes_256_xts
            },
        ),
        (
            "serpent-256-xts-plain64",
            CipherSuite {
                algorithm: CipherAlgorithm::Serpent256,
                ..aes_256_xts
            },
        ),
    ]
}

fn ciphers(criterion: &mut Criterion) {
    let first = IvSector::from_payload(PayloadOffset::ZERO);
    for (name, suite) in suites() {
        let cipher = suite
            .keyed(&vec![7; suite.key_bytes()], None)
            .expect("a key of the right length");
        let mut group = criterion.benchmark_group(name);
        for length in [4096, 65536, 1 << 20] {
            let mut data = vec![0; length];
            group.throughput(Throughput::Bytes(length as u64));
            group.bench_function(BenchmarkId::new("encrypt", length), |bencher| {
                bencher.iter(|| cipher.encrypt(black_box(first), black_box(&mut data)));
            });
            group.bench_function(BenchmarkId::new("decrypt", length), |bencher| {
                bencher.iter(|| cipher.decrypt(black_box(first), black_box(&mut data)));
            });
        }
        group.finish();
    }
}

/// The plain crates, sector by sector: what our own loops over runs gain.
fn plain_crates(criterion: &mut Criterion) {
    use cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyInit, KeyIvInit};
    const LENGTH: usize = 1 << 20;
    let mut data = vec![0; LENGTH];
    let iv = |number: usize| {
        let mut iv = [0; 16];
        iv[..8].copy_from_slice(&(number as u64).to_le_bytes());
        iv
    };
    let key = |byte: u8| aes::Aes256::new_from_slice(&[byte; 32]).expect("a key");
    let xts = xts_mode::Xts128::new(key(7), key(8));
    let mut group = criterion.benchmark_group("plain crates");
    group.throughput(Throughput::Bytes(LENGTH as u64));
    group.bench_function("aes-256-xts-plain64 by xts-mode", |bencher| {
        bencher.iter(|| {
            for (number, sector) in black_box(&mut data).chunks_exact_mut(512).enumerate() {
                xts.encrypt_sector(sector, iv(number).into());
            }
        });
    });
    group.bench_function("aes-128-cbc-plain64 by cbc", |bencher| {
        bencher.iter(|| {
            for (number, sector) in black_box(&mut data).chunks_exact_mut(512).enumerate() {
                let mut mode =
                    cbc::Encryptor::<aes::Aes128>::new_from_slices(&[7; 16], &iv(number))
                        .expect("a key");
                for block in sector.chunks_exact_mut(16) {
                    mode.encrypt_block(block.try_into().expect("a block"));
                }
            }
        });
    });
    group.bench_function("aes-128-cbc-plain64 decrypted by cbc", |bencher| {
        bencher.iter(|| {
            for (number, sector) in black_box(&mut data).chunks_exact_mut(512).enumerate() {
                let mode = cbc::Decryptor::<aes::Aes128>::new_from_slices(&[7; 16], &iv(number))
                    .expect("a key");
                mode.decrypt_padded::<cipher::block_padding::NoPadding>(sector)
                    .expect("whole blocks");
            }
        });
    });
    group.finish();
}

fn derivation(criterion: &mut Criterion) {
    const ITERATIONS: u32 = 100_000;
    let mut group = criterion.benchmark_group("pbkdf2");
    group.throughput(Throughput::Elements(u64::from(ITERATIONS)));
    for (hash, length) in [
        (HashAlgorithm::Sha256, 32),
        (HashAlgorithm::Sha256, 64),
        (HashAlgorithm::Sha1, 20),
        (HashAlgorithm::Sha512, 64),
    ] {
        let mut output = vec![0; length];
        group.bench_function(BenchmarkId::new(hash.name(), length), |bencher| {
            bencher.iter(|| {
                kdf::pbkdf2(
                    hash,
                    b"password",
                    &[0; 32],
                    ITERATIONS,
                    black_box(&mut output),
                );
            });
        });
    }
    // The crate's own loop, on one thread: what there is to gain from a second one.
    let mut output = vec![0; 64];
    group.bench_function("sha256/64 by the pbkdf2 crate", |bencher| {
        bencher.iter(|| {
            let output = black_box(&mut output);
            pbkdf2::pbkdf2_hmac::<sha2::Sha256>(b"password", &[0; 32], ITERATIONS, output);
        });
    });
    group.finish();
}

fn codecs(criterion: &mut Criterion) {
    // Half text, half a pattern: about what a system disk compresses to.
    let data: Vec<u8> = (0_u32..65536)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> (8 + i % 17)).to_le_bytes()[0] & 0x3f)
        .collect();
    for kind in [Compression::Deflate, Compression::Zstd] {
        let mut group = criterion.benchmark_group(kind.name());
        group.throughput(Throughput::Bytes(data.len() as u64));
        let mut packed = Vec::new();
        group.bench_function("compress", |bencher| {
            bencher.iter(|| kind.compress(black_box(&data), &mut packed));
        });
        let mut out = vec![0; data.len()];
        group.bench_function("decompress", |bencher| {
            bencher.iter(|| kind.decompress(black_box(&packed), &mut out));
        });
        group.finish();
    }
}

criterion_group! {
    name = all;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = ciphers, plain_crates, derivation, codecs
}
criterion_main!(all);
