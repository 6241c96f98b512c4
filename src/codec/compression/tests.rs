use std::process::Command;

use super::*;

const KINDS: [Compression; 2] = [Compression::Deflate, Compression::Zstd];

/// Compressible, and different in every cluster.
fn text(length: usize) -> Vec<u8> {
    (0..length)
        .map(|i| u8::try_from((i / 7 * 31 + i % 13) % 251).unwrap())
        .collect()
}

/// Not compressible: a multiplicative generator.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    (0..length)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state.to_be_bytes()[0]
        })
        .collect()
}

#[test]
fn clusters_come_back_through_kept_contexts() {
    for kind in KINDS {
        let mut packed = Vec::new();
        for length in [512, 4096, 65536, 2 << 20] {
            // Incompressible first: the context that failed is used again.
            assert!(
                !kind.compress(&noise(length), &mut packed).unwrap(),
                "{kind} {length}"
            );
            assert!(packed.is_empty());
            let data = text(length);
            assert!(
                kind.compress(&data, &mut packed).unwrap(),
                "{kind} {length}"
            );
            assert!(packed.len() < length);
            // What pads the last sector is not part of the stream.
            packed.extend(noise(500));
            let mut out = vec![0xee; length];
            kind.decompress(&packed, &mut out).unwrap();
            assert_eq!(out, data, "{kind} {length}");
        }
    }
}

#[test]
fn incompressible_clusters_one_after_the_other_leave_nothing_behind() {
    for kind in KINDS {
        let mut packed = Vec::new();
        for length in [512, 4096, 65536, 2 << 20] {
            let data = noise(length);
            for round in 0..40 {
                let fits = kind.compress(&data, &mut packed).unwrap();
                assert!(!fits && packed.is_empty(), "{kind} {length}, {round}");
            }
        }
    }
}

#[test]
fn too_few_bytes_are_an_error_and_too_many_are_cut_off_by_zlib_only() {
    for kind in KINDS {
        let data = text(4096);
        let mut packed = Vec::new();
        assert!(kind.compress(&data, &mut packed).unwrap());
        let error = kind.decompress(&packed, &mut vec![0; 8192]).unwrap_err();
        assert_eq!(error.errno(), crate::base::error::errno::EIO);
        let mut half = vec![0; 2048];
        // The real tool takes the beginning of a deflate stream and refuses a zstd frame that doesn't fit.
        let cut = kind.decompress(&packed, &mut half);
        assert_eq!(cut.is_ok(), kind == Compression::Deflate);
        if cut.is_ok() {
            assert_eq!(half, data[..2048]);
        }
        for cut in 0..packed.len() / 2 {
            assert!(kind.decompress(&packed[..cut], &mut vec![0; 4096]).is_err());
        }
        assert!(kind.decompress(&noise(4096), &mut vec![0; 4096]).is_err());
        assert!(kind.decompress(&[], &mut vec![0; 4096]).is_err());
        // And the context still works.
        let mut out = vec![0; 4096];
        kind.decompress(&packed, &mut out).unwrap();
        assert_eq!(out, data);
    }
}

#[test]
fn several_zstd_frames_make_one_cluster() {
    let data = text(65536);
    let mut packed = Vec::new();
    let mut all = Vec::new();
    for piece in data.chunks(10_000) {
        assert!(Compression::Zstd.compress(piece, &mut packed).unwrap());
        all.extend_from_slice(&packed);
    }
    let mut out = vec![0; data.len()];
    Compression::Zstd.decompress(&all, &mut out).unwrap();
    assert_eq!(out, data);
}

#[test]
fn a_zstd_frame_says_its_size_and_has_no_checksum() {
    let mut packed = Vec::new();
    assert!(
        Compression::Zstd
            .compress(&text(65536), &mut packed)
            .unwrap()
    );
    // Single segment, two bytes of content size less 256: the start of the real tool's frames.
    assert_eq!(packed[..7], [0x28, 0xb5, 0x2f, 0xfd, 0x60, 0x00, 0xff]);
}

#[test]
fn zstd_windows_are_capped() {
    // Window descriptors: exponent 17 is 2^27 bytes, 18 is 2^28. One raw block of one byte.
    for (exponent, accepted) in [(17_u8, true), (18, false)] {
        let frame = [
            0x28,
            0xb5,
            0x2f,
            0xfd,
            0x00,
            exponent << 3,
            0x09,
            0x00,
            0x00,
            0x41,
        ];
        let mut out = [0];
        let result = Compression::Zstd.decompress(&frame, &mut out);
        assert_eq!(result.is_ok(), accepted, "2^{}", exponent + 10);
    }
}

/// The one data cluster of a fresh image with one compressed cluster lies at 0x50000.
#[test]
fn the_real_tools_clusters_are_read() {
    if Command::new("qemu-img").arg("--version").output().is_err() {
        eprintln!("skipped(no qemu-img)");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("source.raw");
    let image = directory.path().join("image.qcow2");
    let data = text(65536);
    std::fs::write(&source, &data).unwrap();
    for kind in KINDS {
        let status = Command::new("qemu-img")
            .args(["convert", "-c", "-O", "qcow2", "-o"])
            .arg(format!("compression_type={kind}"))
            .args([&source, &image])
            .status()
            .unwrap();
        assert!(status.success());
        let bytes = std::fs::read(&image).unwrap();
        let mut out = vec![0; 65536];
        kind.decompress(&bytes[0x50000..], &mut out).unwrap();
        assert_eq!(out, data, "{kind}");
        let mut ours = Vec::new();
        assert!(kind.compress(&data, &mut ours).unwrap());
        let mut patched = bytes[..0x50000].to_vec();
        patched.extend_from_slice(&ours);
        patched.resize(0x60000, 0);
        // The descriptor's length: enough sectors for either.
        let entry = u64::from_be_bytes(bytes[0x40000..0x40008].try_into().unwrap());
        let sectors = (ours.len() as u64).div_ceil(512) - 1;
        let entry = entry & !(0xff << 54) | sectors << 54;
        patched[0x40000..0x40008].copy_from_slice(&entry.to_be_bytes());
        std::fs::write(&image, &patched).unwrap();
        let status = Command::new("qemu-img")
            .args(["compare", "-q"])
            .args([&source, &image])
            .status()
            .unwrap();
        assert!(status.success(), "the real tool reads our {kind}");
    }
}
