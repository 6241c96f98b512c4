use std::process::Command;
use std::sync::Arc;

use super::*;
use crate::driver::memory::Memory;

/// The real tool's image with these options, or `None` when the tool isn't here.
fn real(directory: &std::path::Path, arguments: &[&str], size: u64) -> Option<Vec<u8>> {
    let path = directory.join("real.qcow2");
    let output = Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2"])
        .args(["--object", "secret,id=s,data=pw"])
        .args(arguments)
        .arg(&path)
        .arg(size.to_string())
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped(no qemu-img)");
            return None;
        }
        Err(error) => panic!("qemu-img: {error}"),
    };
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(std::fs::read(path).unwrap())
}

fn ours(options: &Qcow2CreateOptions) -> Vec<u8> {
    let memory = Arc::new(Memory::new(b"old content".to_vec(), 1 << 30));
    let key = || Ok(Secret::new(b"pw".to_vec()));
    create(&HostFile::new(memory.clone()), options, &key).unwrap();
    memory.snapshot()
}

fn first_difference(a: &[u8], b: &[u8]) -> String {
    let at = a.iter().zip(b).position(|(x, y)| x != y);
    format!(
        "lengths {} and {}, first difference at {at:x?}",
        a.len(),
        b.len()
    )
}

/// Where an image's LUKS header is, by its extension.
fn luks_area(image: &[u8]) -> Option<std::ops::Range<usize>> {
    let header = Header::parse(&image[..Header::cluster_size_of(image).unwrap()]).unwrap();
    let (extensions, result) = Extensions::parse(image, &header);
    result.unwrap();
    let crypto = extensions.crypto?;
    let start = usize::try_from(crypto.offset.bytes()).unwrap();
    Some(start..start + usize::try_from(crypto.length).unwrap())
}

const PREALLOCATIONS: [(&str, Preallocation); 4] = [
    ("off", Preallocation::Off),
    ("metadata", Preallocation::Metadata),
    ("falloc", Preallocation::Falloc),
    ("full", Preallocation::Full),
];

/// One combination; `pick` gives a number below its argument for each choice.
fn compare(directory: &std::path::Path, pick: &mut dyn FnMut(usize) -> usize) -> bool {
    let mut options = Qcow2CreateOptions::default();
    let mut arguments = Vec::new();
    options.version = [2, 3, 3, 3][pick(4)];
    options.cluster_size = [512, 1024, 4096, 8192, 65_536, 2 << 20][pick(6)];
    let shift = options.cluster_size.trailing_zeros();
    // From nothing to several refcount table growths; few enough bytes to compare.
    let largest: u64 = if shift < 13 { 24 << 20 } else { 64 << 20 };
    options.size = match pick(6) {
        0 => 0,
        1 => 512,
        2 => 1_000_000,
        3 => largest / 3 + 511,
        4 => largest,
        _ => ((pick(1 << 24) as u64) * largest) >> 24,
    };
    options.refcount_bits = 16;
    if options.version == 3 {
        options.refcount_bits = [1, 2, 4, 8, 16, 32, 64][pick(7)];
        options.lazy_refcounts = pick(3) == 0;
        if pick(3) == 0 {
            options.compression_type = CompressionType::Zstd;
        }
        options.extended_l2 = shift >= 14 && pick(3) == 0;
    }
    let (word, preallocation) = PREALLOCATIONS[pick(4)];
    let mut o = format!(
        "compat={},cluster_size={},refcount_bits={},lazy_refcounts={},preallocation={word}",
        if options.version == 2 { "0.10" } else { "1.1" },
        options.cluster_size,
        options.refcount_bits,
        if options.lazy_refcounts { "on" } else { "off" },
    );
    options.preallocation = preallocation;
    if options.extended_l2 {
        o += ",extended_l2=on";
    }
    if options.compression_type == CompressionType::Zstd {
        o += ",compression_type=zstd";
    }
    match pick(16) {
        0..3 => {
            options.encryption = Qcow2Encryption::Aes;
            o += ",encrypt.format=aes,encrypt.key-secret=s";
        }
        3 => {
            options.encryption = Qcow2Encryption::Luks(LuksCreateOptions {
                iter_time_ms: 10,
                ..LuksCreateOptions::default()
            });
            o += ",encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10";
        }
        _ => {}
    }
    let name = "a backing file".repeat(1 + pick(8));
    if pick(2) == 0 && preallocation == Preallocation::Off {
        arguments.extend(["-u", "-b", &name, "-F", "raw"]);
        options.backing_file = Some(name.clone());
        options.backing_format = Some("raw".to_owned());
    }
    arguments.extend(["-o", &o]);
    let Some(real) = real(directory, &arguments, options.size) else {
        return false;
    };
    let (mut real, mut ours) = (real, ours(&options));
    if let Some(area) = luks_area(&real) {
        // Salts, uuid, iterations and key material differ; the place and the constant fields must not.
        assert_eq!(
            ours[area.start..area.start + 104],
            real[area.start..area.start + 104]
        );
        ours[area.clone()].fill(0);
        real[area].fill(0);
    }
    assert!(
        ours == real,
        "{arguments:?} {}: {}",
        options.size,
        first_difference(&ours, &real)
    );
    true
}

#[test]
fn images_are_the_real_tools_byte_for_byte() {
    let directory = tempfile::tempdir().unwrap();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut pick = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % below
    };
    let cases = match std::env::var("COWPROOF_CREATE_CASES") {
        Ok(cases) => cases.parse().unwrap(),
        Err(_) => CASES,
    };
    for _ in 0..cases {
        if !compare(directory.path(), &mut pick) {
            return;
        }
    }
}

/// Random combinations compared.
const CASES: usize = 48;

/// The parts of a sparse file that hold data, with zeros between left out.
fn data_of(path: &std::path::Path) -> Vec<(u64, Vec<u8>)> {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::open(path).unwrap();
    let length = file.metadata().unwrap().len();
    let mut parts = vec![(length, Vec::new())];
    let mut at = 0;
    while let Ok(start) = rustix::fs::seek(&file, rustix::fs::SeekFrom::Data(at)) {
        at = rustix::fs::seek(&file, rustix::fs::SeekFrom::Hole(start)).unwrap();
        let mut piece = start;
        while piece < at {
            let mut bytes = vec![0; 4096.min(usize::try_from(at - piece).unwrap())];
            file.read_exact_at(&mut bytes, piece).unwrap();
            if bytes.iter().any(|&byte| byte != 0) {
                parts.push((piece, bytes));
            }
            piece += 4096;
        }
    }
    parts
}

#[test]
fn large_preallocated_images_are_the_real_tools_byte_for_byte() {
    use crate::driver::file::{File, FileOptions};
    let directory = tempfile::tempdir().unwrap();
    let (theirs, ours) = (directory.path().join("real"), directory.path().join("ours"));
    let metadata = "preallocation=metadata";
    for (size, cluster_size, refcount_bits) in [
        (1_100_u64 << 30, 2 << 20, 64_u64),
        (2_100 << 30, 2 << 20, 16),
        (20 << 30, 65_536, 64),
        (2 << 30, 8192, 32),
        (100 << 20, 1024, 1),
    ] {
        let o = format!("{metadata},cluster_size={cluster_size},refcount_bits={refcount_bits}");
        let status = Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2", "-o", &o])
            .arg(&theirs)
            .arg(size.to_string())
            .status();
        if status.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            eprintln!("skipped(no qemu-img)");
            return;
        }
        let options = Qcow2CreateOptions {
            size,
            cluster_size,
            refcount_bits,
            preallocation: Preallocation::Metadata,
            ..Qcow2CreateOptions::default()
        };
        let file = File::open(
            ours.to_str().unwrap(),
            FileOptions {
                writable: true,
                create: true,
                ..FileOptions::default()
            },
        );
        let file = HostFile::new(Arc::new(file.unwrap()));
        create(&file, &options, &|| unreachable!("no key is needed")).unwrap();
        file.close().unwrap();
        assert!(data_of(&ours) == data_of(&theirs), "{o} {size}");
    }
}

/// The words of a fault, and what makes it.
type Fault = (&'static str, fn(&mut Qcow2CreateOptions));

/// Faulty options, each with its words, in the order in which the real tool looks for them.
fn faults() -> Vec<Fault> {
    vec![
        (
            "Extended L2 entries are only supported with compatibility level 1.1 and above (use \
             version=v3 or greater)",
            |o| (o.extended_l2, o.version) = (true, 2),
        ),
        (
            "Cluster size must be a power of two between 512 and 2048k",
            |o| o.cluster_size = 1000,
        ),
        (
            "Backing file and preallocation can only be used at the same time if extended_l2 is on",
            |o| {
                o.backing_file = Some("base".to_owned());
                o.preallocation = Preallocation::Full;
            },
        ),
        ("Backing format cannot be used without backing file", |o| {
            o.backing_format = Some("raw".to_owned());
        }),
        (
            "Lazy refcounts only supported with compatibility level 1.1 and above (use version=v3 \
             or greater)",
            |o| (o.lazy_refcounts, o.version) = (true, 2),
        ),
        (
            "Refcount width must be a power of two and may not exceed 64 bits",
            |o| o.refcount_bits = 3,
        ),
        (
            "Different refcount widths than 16 bits require compatibility level 1.1 or above (use \
             version=v3 or greater)",
            |o| (o.refcount_bits, o.version) = (8, 2),
        ),
        ("data-file-raw requires data-file", |o| {
            o.data_file_raw = true;
        }),
        (
            "Non-zlib compression type is only supported with compatibility level 1.1 and above \
             (use version=v3 or greater)",
            |o| (o.compression_type, o.version) = (CompressionType::Zstd, 2),
        ),
        (
            "The image size is too large for file format 'qcow2' (try using a larger cluster size)",
            |o| o.size = 999 << 50,
        ),
        (
            "Parameter 'encrypt.key-secret' is required for cipher",
            |o| o.encryption = Qcow2Encryption::Aes,
        ),
    ]
}

#[test]
fn of_two_faults_the_real_tools_first_one_is_told() {
    let faults = faults();
    let refusal = |spoil: &[fn(&mut Qcow2CreateOptions)]| {
        let mut options = Qcow2CreateOptions {
            size: 1 << 20,
            ..Qcow2CreateOptions::default()
        };
        for spoil in spoil {
            spoil(&mut options);
        }
        let memory = Arc::new(Memory::new(b"untouched".to_vec(), 1 << 20));
        let key = || {
            Err(Error::key(
                "Parameter 'encrypt.key-secret' is required for cipher",
            ))
        };
        let error = create(&HostFile::new(memory.clone()), &options, &key).unwrap_err();
        assert_eq!(memory.snapshot(), b"untouched");
        error.to_string()
    };
    for (index, (words, spoil)) in faults.iter().enumerate() {
        assert_eq!(refusal(&[*spoil]), *words);
        for (other_words, other) in &faults[index + 1..] {
            // Where one fault undoes the other (a format, and then a file for it) neither order tells anything.
            let both = refusal(&[*other, *spoil]);
            let undone = words.starts_with("Refcount width") || words.starts_with("Backing f");
            assert!(
                both == *words || undone,
                "{words} before {other_words}: {both}"
            );
        }
    }
}

#[test]
fn names_need_room_in_the_first_cluster() {
    let refusal = |length: usize, cluster_size: u64, encryption: Qcow2Encryption| {
        let options = Qcow2CreateOptions {
            size: 1 << 20,
            cluster_size,
            backing_file: Some("x".repeat(length)),
            backing_format: Some("raw".to_owned()),
            encryption,
            ..Qcow2CreateOptions::default()
        };
        let memory = Arc::new(Memory::new(Vec::new(), 16 << 20));
        let key = || Ok(Secret::new(b"pw".to_vec()));
        let outcome = create(&HostFile::new(memory), &options, &key);
        outcome.map_err(|error| error.to_string().replace(&"x".repeat(length), "NAME"))
    };
    let assign = "Could not assign backing file 'NAME' with format 'raw': ";
    let none = Qcow2Encryption::None;
    assert_eq!(refusal(376, 512, none), Ok(()));
    assert_eq!(
        refusal(377, 512, none),
        Err(format!("{assign}No space left on device"))
    );
    assert_eq!(refusal(1023, 65_536, none), Ok(()));
    assert_eq!(
        refusal(1024, 65_536, none),
        Err(format!("{assign}Invalid argument"))
    );
    // The encryption header's place takes 24 bytes more, and is written last.
    let luks = Qcow2Encryption::Luks(LuksCreateOptions {
        iter_time_ms: 0,
        ..LuksCreateOptions::default()
    });
    assert_eq!(refusal(352, 512, luks), Ok(()));
    let late = "Could not write encryption header: No space left on device";
    assert_eq!(refusal(353, 512, luks), Err(late.to_owned()));
    assert_eq!(
        refusal(377, 512, luks),
        Err(format!("{assign}No space left on device"))
    );
}
