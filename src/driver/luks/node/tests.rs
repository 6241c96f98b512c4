mod iv;

use parking_lot::Mutex;

use super::super::real_tools::{Scratch, attempt, qemu_img, qemu_io};
use super::*;
use crate::base::Kind;
use crate::crypto::cipher::Direction;
use crate::driver::memory::Memory;

const OBJECT: &str = "secret,id=s,data=a password";

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

fn memory(bytes: Vec<u8>) -> (Arc<Memory>, HostFile) {
    let memory = Arc::new(Memory::new(bytes, 1 << 30));
    let file = HostFile::new(memory.clone());
    (memory, file)
}

fn quick() -> LuksCreateOptions {
    LuksCreateOptions {
        iter_time_ms: 0,
        ..LuksCreateOptions::default()
    }
}

fn with_key() -> LuksOpenOptions {
    LuksOpenOptions {
        key: Some(secret("a password")),
        ..LuksOpenOptions::default()
    }
}

/// A new volume, opened.
fn volume(size: u64) -> (Arc<Memory>, Arc<Luks>) {
    let (memory, file) = memory(Vec::new());
    Luks::create(
        &file,
        size,
        Preallocation::Off,
        &quick(),
        &secret("a password"),
    )
    .unwrap();
    let luks = Luks::open(file, with_key()).unwrap();
    (memory, luks)
}

const fn at(offset: u64) -> GuestOffset {
    GuestOffset::new(offset)
}

#[test]
fn any_offset_and_length_against_a_flat_disk() {
    let size = 3_u64 << 20;
    let (_, luks) = volume(size);
    let mut flat = vec![0; usize::try_from(size).unwrap()];
    luks.write_at(at(0), &flat).unwrap();
    let requests = [
        (0, 512),
        (1, 1),
        (511, 2),
        (100, 3000),
        (512, 1 << 20),
        (513, 1 << 20),
        (0, 3 << 20),
        (1_048_575, 2),
        (1_048_000, 1_050_000),
        (3_145_727, 1),
        (7, 0),
        (1024, 2048),
        (700, 100),
    ];
    for (number, (offset, length)) in requests.into_iter().enumerate() {
        let byte = u8::try_from(number).unwrap() + 1;
        let range = offset..offset + length;
        let mut data = vec![byte; length];
        match number % 3 {
            0 => luks.write_at(at(offset as u64), &data).unwrap(),
            1 => luks
                .write_at_in_place(at(offset as u64), &mut data)
                .unwrap(),
            _ => {
                luks.write_at(at(offset as u64), &data).unwrap();
                let flags = ZeroFlags::empty();
                let half = length / 2;
                luks.write_zeroes(at(offset as u64), half as u64, flags)
                    .unwrap();
                flat[range.clone()].fill(byte);
                flat[offset..offset + half].fill(0);
            }
        }
        if number % 3 < 2 {
            flat[range.clone()].fill(byte);
        }
        let mut read = vec![0; length];
        luks.read_at(at(offset as u64), &mut read).unwrap();
        assert_eq!(read, flat[range], "request {number}");
    }
    let mut all = vec![0; flat.len()];
    luks.read_at(at(0), &mut all).unwrap();
    assert!(all == flat);
}

#[test]
fn chunks_cover_a_request_and_split_no_sector() {
    for (offset, length) in [
        (0, 0),
        (5, 0),
        (5, 1),
        (5, 507),
        (5, 508),
        (0, 512),
        (511, 1 << 22),
    ] {
        let mut next = offset;
        for chunk in chunks(at(offset), length) {
            assert_eq!(chunk.start, next);
            assert!(chunk.end > chunk.start && chunk.end - chunk.start <= CHUNK);
            assert!(
                chunk.is_whole() || chunk.sectors_length() == SECTOR,
                "{chunk:?}"
            );
            next = chunk.end;
        }
        assert_eq!(next, offset + length);
    }
}

#[test]
fn requests_past_the_end_are_refused() {
    let (_, luks) = volume(4096);
    let errno = |result: Result<()>| result.unwrap_err().errno();
    assert_eq!(errno(luks.read_at(at(4000), &mut [0; 97])), errno::EIO);
    assert_eq!(errno(luks.write_at(at(4096), &[0])), errno::EIO);
    assert_eq!(
        errno(luks.write_at_in_place(at(4096), &mut [0; 512])),
        errno::EIO
    );
    assert_eq!(
        errno(luks.write_zeroes(at(0), 4097, ZeroFlags::empty())),
        errno::EIO
    );
    assert_eq!(
        errno(luks.write_zeroes(at(0), 512, ZeroFlags::NO_FALLBACK)),
        errno::ENOTSUP
    );
    assert_eq!(
        errno(luks.write_compressed(at(0), &[0; 512])),
        errno::ENOTSUP
    );
    luks.write_at(at(4095), &[1]).unwrap();
    luks.resize(1000, Preallocation::Off).unwrap();
    assert_eq!(luks.length().unwrap(), 1024);
    luks.write_at(at(1000), &[1; 24]).unwrap();
    let error = luks
        .resize(i64::MAX.unsigned_abs(), Preallocation::Off)
        .unwrap_err();
    assert_eq!(error.to_string(), "The requested file size is too large");
}

#[test]
fn without_a_key_only_the_header_is_read() {
    let (memory, _) = volume(4096);
    let file = || HostFile::new(memory.clone());
    let options = LuksOpenOptions {
        no_io: true,
        ..LuksOpenOptions::default()
    };
    let luks = Luks::open(file(), options).unwrap();
    assert_eq!(luks.length().unwrap(), 4096);
    assert!(luks.info().unwrap().encrypted);
    assert_eq!(
        luks.read_at(at(0), &mut [0; 512]).unwrap_err().kind(),
        Kind::Key
    );
    let refused = |options| match Luks::open(file(), options) {
        Ok(_) => panic!("opened"),
        Err(error) => error.to_string(),
    };
    assert_eq!(
        refused(LuksOpenOptions::default()),
        "Parameter 'key-secret' is required for cipher"
    );
    let wrong = LuksOpenOptions {
        key: Some(secret("b")),
        ..LuksOpenOptions::default()
    };
    assert_eq!(
        refused(wrong),
        "Invalid password, cannot unlock any keyslot"
    );
    let capped = LuksOpenOptions {
        max_iterations: Some(999),
        ..with_key()
    };
    assert_eq!(
        refused(capped),
        "Keyslot 0 iteration count 1000 is larger than the cap of 999"
    );
    memory.resize(100_000, Preallocation::Off).unwrap();
    let options = LuksOpenOptions {
        no_io: true,
        ..LuksOpenOptions::default()
    };
    assert_eq!(
        refused(options),
        "Could not refresh total sector count: Input/output error"
    );
}

#[derive(Default)]
struct Recorder(Mutex<Vec<(Direction, u64, u64)>>);

impl IvObserver for Recorder {
    fn passed(&self, direction: Direction, first: IvSector, sectors: u64) {
        self.0.lock().push((direction, first.number(), sectors));
    }
}

#[test]
fn the_observer_sees_payload_sectors() {
    let (memory, _) = volume(1 << 20);
    let recorder = Arc::new(Recorder::default());
    let options = LuksOpenOptions {
        observer: Some(recorder.clone()),
        ..with_key()
    };
    let luks = Luks::open(HostFile::new(memory), options).unwrap();
    luks.write_at(at(1024), &[0; 2048]).unwrap();
    luks.read_at(at(700), &mut [0; 10]).unwrap();
    let seen = recorder.0.lock().clone();
    assert_eq!(
        seen,
        [(Direction::Encrypt, 2, 4), (Direction::Decrypt, 1, 1)]
    );
}

/// The payload field of a header used as a detached one is where the data starts in the other file (luks1 §6).
#[test]
fn a_detached_header_may_still_have_a_payload_offset() {
    let (whole, luks) = volume(4 << 20);
    luks.write_at(at(0), &[0x11; 8192]).unwrap();
    let (_, header) = memory(whole.snapshot()[..2_068_480].to_vec());
    let options = LuksOpenOptions {
        detached_header: Some(header),
        ..with_key()
    };
    let detached = Luks::open(HostFile::new(whole), options).unwrap();
    let mut data = vec![0; 8192];
    detached.read_at(at(0), &mut data).unwrap();
    assert!(data.iter().all(|byte| *byte == 0x11));

    let mut bytes = luks.file.read_vec(HostOffset::ZERO, 2_068_480).unwrap();
    bytes[104..108].fill(0);
    let (_, header) = memory(bytes);
    let (data_file, file) = memory(vec![0; 1 << 20]);
    let options = || LuksOpenOptions {
        detached_header: Some(header.clone()),
        ..with_key()
    };
    let detached = Luks::open(file, options()).unwrap();
    assert_eq!(detached.length().unwrap(), 1 << 20);
    detached.write_at(at(512), &[0x22; 512]).unwrap();
    assert_ne!(data_file.snapshot()[512..1024], [0x22; 512]);
    let info = detached.info().unwrap().specific.unwrap().1;
    assert_eq!(info["detached-header"], true);
}

#[test]
fn the_real_tool_works_on_our_volume() {
    let Some(scratch) = Scratch::with_real_tools() else {
        return;
    };
    let (memory, luks) = volume(1_000_000);
    assert_eq!(luks.length().unwrap(), 1_000_448);
    luks.write_at(at(0), &vec![0x77; 300_000]).unwrap();
    luks.write_zeroes(at(1000), 5000, ZeroFlags::MAY_UNMAP)
        .unwrap();
    luks.write_at(at(1_000_447), &[0x78]).unwrap();
    let path = scratch.path("ours.luks");
    std::fs::write(&path, memory.snapshot()).unwrap();
    let image = format!("driver=luks,file.filename={path},key-secret=s");
    let said = qemu_io(&[
        "--object",
        OBJECT,
        "-c",
        "read -P 0x77 0 1000",
        "-c",
        "read -P 0 1000 5000",
        "-c",
        "read -P 0x77 6000 294000",
        "-c",
        "read -P 0x78 1000447 1",
        "-c",
        "write -P 0x79 5 6",
        "--image-opts",
        &image,
    ]);
    assert_eq!(said.matches("bytes at offset").count(), 5, "{said}");
    assert!(!said.contains("Pattern"), "{said}");
    let (_, file) = super::tests::memory(std::fs::read(&path).unwrap());
    let luks = Luks::open(file, with_key()).unwrap();
    let mut start = [0; 12];
    luks.read_at(at(0), &mut start).unwrap();
    assert_eq!(start, *b"wwwwwyyyyyyw");
}

#[test]
fn info_is_the_real_tools() {
    let Some(scratch) = Scratch::with_real_tools() else {
        return;
    };
    let mut essiv = quick();
    for (name, value) in [
        ("ivgen-alg", "essiv"),
        ("cipher-mode", "cbc"),
        ("hash-alg", "sha1"),
    ] {
        assert!(essiv.set(name, value, "").unwrap());
    }
    for options in [quick(), essiv] {
        let (memory, file) = memory(Vec::new());
        Luks::create(&file, 4096, Preallocation::Off, &options, &secret("p")).unwrap();
        let path = scratch.path("ours.luks");
        std::fs::write(&path, memory.snapshot()).unwrap();
        let said = qemu_img(&["info", "--output=json", &path]);
        let real: serde_json::Value = serde_json::from_str(&said).unwrap();
        let no_io = LuksOpenOptions {
            no_io: true,
            ..LuksOpenOptions::default()
        };
        let (name, ours) = Luks::open(file, no_io)
            .unwrap()
            .info()
            .unwrap()
            .specific
            .unwrap();
        assert_eq!(name, real["format-specific"]["type"]);
        // As text: the order of the keys counts.
        assert_eq!(
            serde_json::to_string(&ours).unwrap(),
            real["format-specific"]["data"].to_string()
        );
    }
}

const fn slot(index: usize) -> usize {
    208 + 48 * index
}

/// Where a header is changed, and to what number.
const NUMBERS: [(usize, u32); 21] = [
    (104, 7),
    (104, 4039),
    (104, u32::MAX),
    (164, 0),
    (slot(0) + 44, u32::MAX),
    (slot(7) + 44, 0),
    (slot(1), 0x0102_0304),
    (slot(0) + 4, 0),
    (slot(1) + 4, 0),
    (slot(3) + 40, 7),
    (slot(7) + 40, 4000),
    (slot(2) + 40, 512),
    (slot(0) + 40, 3000),
    (108, 65),
    (108, 63),
    (108, 16),
    (108, 48),
    (108, 0),
    (108, 1 << 30),
    (108, (1 << 30) + 64),
    (108, (1 << 21) + 64),
];

/// The same, to what bytes.
const BYTES: [(usize, &[u8]); 23] = [
    (0, b"X"),
    (6, &[0, 2]),
    (8, &[b'a'; 32]),
    (40, &[b'a'; 32]),
    (72, &[b'a'; 32]),
    (40, b"xts\0"),
    (40, b"xts-plain64:foo\0"),
    (40, b"xts-plain64:\0"),
    (40, b"xts-plain64:sha1\0"),
    (40, b"foo-plain64:bar-baz\0"),
    (40, b"-plain64\0"),
    (40, b"XTS-plain64\0"),
    (40, b"xts-essiv\0"),
    (40, b"xts-essiv:sha1\0"),
    (40, b"xts-essiv:md5\0"),
    (40, b"xts-foo\0"),
    (40, b"cbc-plain\0"),
    (8, b"\0"),
    (8, b"foo\0"),
    (8, b"cast5\0"),
    (72, b"whirlpool\0"),
    (72, b"sha512\0"),
    (168, &[b'u'; 40]),
];

/// One field wrong at a time; `info` needs no key, so every message here is about the header.
#[test]
fn broken_headers_are_refused_in_the_real_tools_words() {
    let Some(scratch) = Scratch::with_real_tools() else {
        return;
    };
    let (memory, _) = volume(1 << 20);
    let good = memory.snapshot();
    let numbers = NUMBERS.map(|(offset, number)| (offset, number.to_be_bytes().to_vec()));
    let patches = BYTES.map(|(offset, bytes)| (offset, bytes.to_vec()));
    for (offset, bytes) in numbers.into_iter().chain(patches) {
        let mut image = good.clone();
        image[offset..offset + bytes.len()].copy_from_slice(&bytes);
        let path = scratch.path("broken.luks");
        std::fs::write(&path, &image).unwrap();
        let (accepted, said) = attempt("qemu-img", &["info", "-f", "luks", &path]);
        let (_, file) = super::tests::memory(image);
        let no_io = LuksOpenOptions {
            no_io: true,
            ..LuksOpenOptions::default()
        };
        match Luks::open(file, no_io) {
            Ok(_) => assert!(accepted, "{offset} {bytes:?}: {said}"),
            Err(error) => {
                let ours = format!("qemu-img: Could not open '{path}': {error}\n");
                assert_eq!(ours, said, "{offset} {bytes:?}");
            }
        }
    }
}
