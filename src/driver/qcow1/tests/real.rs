//! The same writes through the real tools and through ours end in the same file.

use std::path::Path;
use std::process::Command;

use super::*;
use crate::base::GuestOffset;
use crate::node::Node;

fn real(tool: &str, directory: &Path, arguments: &[&str]) -> Option<String> {
    let output = match Command::new(tool)
        .args(arguments)
        .current_dir(directory)
        .output()
    {
        Ok(output) => output,
        Err(error) => {
            eprintln!("skipped(no {tool}): {error}");
            return None;
        }
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{tool} {arguments:?}: {text}{errors}"
    );
    Some(text)
}

const SECRET: &str = "secret,id=s,data=0123456789abcdefXYZ";
const KEY: &str = "0123456789abcdefXYZ";

fn real_create(directory: &Path, size: &str, backing: Option<&str>, encrypted: bool) -> Option<()> {
    let mut arguments = vec!["create", "-q", "-f", "qcow", "--object", SECRET];
    if encrypted {
        arguments.extend(["-o", "encrypt.format=aes,encrypt.key-secret=s"]);
    }
    if let Some(backing) = backing {
        arguments.extend(["-b", backing, "-F", "raw"]);
    }
    arguments.extend(["t.qcow", size]);
    real("qemu-img", directory, &arguments).map(drop)
}

fn real_io(directory: &Path, encrypted: bool, commands: &[String]) -> Option<String> {
    let mut tree = "driver=qcow,file.filename=t.qcow".to_owned();
    if encrypted {
        tree.push_str(",encrypt.key-secret=s");
    }
    let mut arguments = vec!["--object", SECRET, "--image-opts", &tree];
    for command in commands {
        arguments.extend(["-c", command]);
    }
    real("qemu-io", directory, &arguments)
}

/// Offset, length, fill: whole sectors, partial clusters, L2 borders, overwrites, the short last cluster.
const WRITES: [(u64, u64, u8); 9] = [
    (0, 512, 1),
    (4096 * 3 + 1024, 8192, 2),
    ((2 << 20) - 3072, 10_240, 3),
    (512, 4096, 4),
    (5 << 20, 65_536, 5),
    (6 << 20, 2048, 6),
    ((2 << 20) - 3072, 20_480, 7),
    (700, 100, 8),
    ((6 << 20) + 1000, 1048, 9),
];

fn same_file(backing: Option<&str>, encrypted: bool) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("base.raw"), vec![0x42; 7 << 20]).unwrap();
    let size = (6 << 20) + 2048;
    if real_create(directory.path(), &size.to_string(), backing, encrypted).is_none() {
        return;
    }
    let path = directory.path().join("t.qcow");
    let key = encrypted.then_some(KEY);
    let ours = created(size, backing, key);
    assert_eq!(std::fs::read(&path).unwrap(), ours, "create");
    let commands: Vec<String> = WRITES
        .iter()
        .map(|(offset, length, fill)| format!("write -P {fill} {offset} {length}"))
        .chain(["write -z 1M 12k".to_owned()])
        .collect();
    real_io(directory.path(), encrypted, &commands).unwrap();
    let fixture = open_bytes(ours, key).unwrap();
    if backing.is_some() {
        let base = Arc::new(Memory::new(vec![0x42; 7 << 20], 7 << 20));
        fixture.image.set_backing(Some(base)).unwrap();
    }
    for (offset, length, fill) in WRITES {
        let data = vec![fill; usize::try_from(length).unwrap()];
        fixture
            .image
            .write_at(GuestOffset::new(offset), &data)
            .unwrap();
    }
    let flags = crate::node::ZeroFlags::empty();
    fixture
        .image
        .write_zeroes(GuestOffset::new(1 << 20), 12 << 10, flags)
        .unwrap();
    let theirs = std::fs::read(&path).unwrap();
    let ours = fixture.memory.snapshot();
    assert_eq!(theirs.len(), ours.len(), "length");
    let differs = theirs.iter().zip(&ours).position(|(a, b)| a != b);
    assert_eq!(differs, None, "first different byte");
}

#[test]
fn the_same_writes_make_the_same_file() {
    same_file(None, false);
}

#[test]
fn the_same_writes_make_the_same_overlay() {
    same_file(Some("base.raw"), false);
}

#[test]
fn the_same_writes_make_the_same_encrypted_file() {
    same_file(None, true);
}

#[test]
fn the_same_writes_make_the_same_encrypted_overlay() {
    same_file(Some("base.raw"), true);
}

#[test]
fn compressed_clusters_cross_over() {
    let directory = tempfile::tempdir().unwrap();
    if real_create(directory.path(), "65024", None, false).is_none() {
        return;
    }
    let path = directory.path().join("t.qcow");
    let commands = [
        "write -c -P 7 0 4k",
        "write -c -P 8 60k 3584",
        "write -P 9 1k 512",
    ]
    .map(ToOwned::to_owned);
    real_io(directory.path(), false, &commands).unwrap();
    let fixture = open_bytes(std::fs::read(&path).unwrap(), None).unwrap();
    let mut read = vec![0; 65_024];
    fixture.image.read_at(GuestOffset::ZERO, &mut read).unwrap();
    let mut expected = vec![0; 65_024];
    expected[..4096].fill(7);
    expected[1024..1536].fill(9);
    expected[61_440..].fill(8);
    assert!(read == expected);
    // And back: a rewrite of a compressed cluster, a new one, and a short last one.
    let varied: Vec<u8> = (0..=255).cycle().take(4096).collect();
    fixture
        .image
        .write_compressed(GuestOffset::new(8192), &[1; 4096])
        .unwrap();
    fixture
        .image
        .write_compressed(GuestOffset::new(8192), &varied)
        .unwrap();
    fixture
        .image
        .write_compressed(GuestOffset::new(61_440), &[2; 3584])
        .unwrap();
    assert!(
        fixture
            .image
            .extent(GuestOffset::new(8192), 4096)
            .unwrap()
            .compressed
    );
    std::fs::write(&path, fixture.memory.snapshot()).unwrap();
    std::fs::write(directory.path().join("varied"), &varied).unwrap();
    let arguments = ["convert", "-f", "qcow", "-O", "raw", "t.qcow", "t.raw"];
    real("qemu-img", directory.path(), &arguments).unwrap();
    expected[8192..12_288].copy_from_slice(&varied);
    expected[61_440..].fill(2);
    assert!(std::fs::read(directory.path().join("t.raw")).unwrap() == expected);
}
