use std::path::Path;
use std::process::{Command, Output};

use super::*;
use crate::base::GuestOffset;

/// The real tool's output, or `None` (said loudly) when it is not on PATH.
fn real(tool: &str, arguments: &[&str], directory: &Path) -> Option<Output> {
    let output = Command::new(tool)
        .args(arguments)
        .current_dir(directory)
        .output();
    if output.is_err() {
        eprintln!("skipped(no {tool})");
    }
    output.ok()
}

fn path(directory: &tempfile::TempDir, name: &str) -> String {
    directory.path().join(name).to_str().unwrap().to_owned()
}

fn by_name(name: &str, format: Option<&str>) -> ImageArgument {
    ImageArgument::File {
        name: name.to_owned(),
        format: format.map(str::to_owned),
    }
}

fn writable() -> OpenFlags {
    OpenFlags {
        writable: true,
        ..OpenFlags::default()
    }
}

#[test]
fn a_raw_image_written_here_reads_back_in_the_real_tool() {
    let directory = tempfile::tempdir().unwrap();
    let image = path(&directory, "r");
    std::fs::write(&image, vec![0; 1 << 20]).unwrap();
    let node = open(
        &by_name(&image, Some("raw")),
        writable(),
        &Environment::default(),
    )
    .unwrap();
    assert_eq!(node.length().unwrap(), 1 << 20);
    node.write_at(GuestOffset::new(4000), &[0x5a; 1000])
        .unwrap();
    node.close().unwrap();
    let commands = [
        "-f",
        "raw",
        "-c",
        "read -P 0x5a 4000 1000",
        "-c",
        "read -P 0 5000 10000",
        "r",
    ];
    if let Some(output) = real("qemu-io", &commands, directory.path()) {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && !text.contains("failed"),
            "{text}"
        );
    }
}

fn real_ok(tool: &str, arguments: &[&str], directory: &Path) -> bool {
    match real(tool, arguments, directory) {
        Some(output) => {
            let words = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{tool} {arguments:?}: {words}");
            true
        }
        None => false,
    }
}

fn words_of(name: &str, flags: OpenFlags) -> String {
    match open(&by_name(name, None), flags, &Environment::default()) {
        Ok(_) => "opened".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn read(node: &SharedNode, offset: u64, length: usize) -> Vec<u8> {
    let mut buffer = vec![0xee; length];
    node.read_at(GuestOffset::new(offset), &mut buffer).unwrap();
    buffer
}

#[test]
fn chains_that_the_real_tool_made_are_followed() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    std::fs::create_dir(at.join("sub")).unwrap();
    std::fs::write(at.join("base"), vec![0x11; 1 << 20]).unwrap();
    let steps: [&[&str]; 5] = [
        &[
            "create", "-q", "-f", "qcow", "-b", "base", "-F", "raw", "middle", "2M",
        ],
        &[
            "create",
            "-q",
            "-f",
            "qcow2",
            "-b",
            "../middle",
            "-F",
            "qcow",
            "sub/top",
            "3M",
        ],
        &[
            "create", "-q", "-f", "qcow2", "-u", "-b", "gone", "-F", "raw", "broken", "1M",
        ],
        &[
            "create", "-q", "-f", "qcow2", "-u", "-b", "loop2", "-F", "qcow2", "loop1", "1M",
        ],
        &[
            "create", "-q", "-f", "qcow2", "-u", "-b", "loop1", "-F", "qcow2", "loop2", "1M",
        ],
    ];
    if !steps.iter().all(|step| real_ok("qemu-img", step, at)) {
        return;
    }
    let top = open(
        &by_name(&path(&directory, "sub/top"), None),
        OpenFlags::default(),
        &Environment::default(),
    )
    .unwrap();
    assert_eq!(top.driver(), "qcow2");
    let middle = top.backing().unwrap();
    assert_eq!(middle.driver(), "qcow");
    assert_eq!(middle.backing().unwrap().driver(), "raw");
    assert_eq!(
        read(&top, (1 << 20) - 512, 1024),
        [vec![0x11; 512], vec![0; 512]].concat()
    );
    let broken = path(&directory, "broken");
    assert_eq!(
        words_of(&broken, OpenFlags::default()),
        format!(
            "Could not open '{broken}': Could not open backing file: Could not open '{}': No such file or directory",
            path(&directory, "gone")
        )
    );
    let looped = words_of(&path(&directory, "loop1"), OpenFlags::default());
    assert!(looped.ends_with("' creates an infinite loop."), "{looped}");
    assert!(looped.len() < 400, "{looped}");
}

#[test]
fn options_override_the_header() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    std::fs::write(at.join("base"), vec![0x22; 1 << 20]).unwrap();
    let create = [
        "create", "-q", "-f", "qcow2", "-u", "-b", "gone", "-F", "raw", "top", "1M",
    ];
    if !real_ok("qemu-img", &create, at) {
        return;
    }
    let open_tree = |text: &str, flags: OpenFlags| {
        let text = text.replace('@', at.to_str().unwrap());
        let tree = crate::graph::options::parse_options(&text, None).tree;
        open(
            &ImageArgument::Options(tree),
            flags,
            &Environment::default(),
        )
    };
    let words = |text: &str, flags: OpenFlags| open_tree(text, flags).unwrap_err().to_string();
    let plain = OpenFlags::default();
    let node = open_tree(
        "driver=qcow2,file.filename=@/top,backing.file.filename=@/base",
        plain,
    )
    .unwrap();
    assert_eq!(read(&node, 0, 4), [0x22; 4]);
    assert_eq!(node.filename(), path(&directory, "top"));
    let alone = OpenFlags {
        no_backing: true,
        ..plain
    };
    let gone = path(&directory, "gone");
    // Observed with `qemu-io --image-opts` and `qemu-img info --image-opts` 10.0.2.
    let rows = [
        ("driver=foo", plain, "Unknown driver 'foo'".to_owned()),
        ("driver=raw", plain, "A block device must be specified for \"file\"".to_owned()),
        ("filename=x", plain, "Must specify either driver or file".to_owned()),
        ("driver=raw,file=xx", plain, "Cannot find device='xx' nor node-name='xx'".to_owned()),
        (
            "driver=raw,file=r,file.filename=r",
            plain,
            "Cannot reference an existing block device with additional options or a new filename".to_owned(),
        ),
        (
            "driver=raw,file.filename=@/base,foo=1",
            plain,
            "Block format 'raw' does not support the option 'foo'".to_owned(),
        ),
        (
            "driver=raw,file.filename=@/base,file.foo=1",
            plain,
            "Block protocol 'file' doesn't support the option 'foo'".to_owned(),
        ),
        (
            "driver=raw,file.filename=@/base,backing.file.filename=@/top",
            plain,
            "Driver doesn't support backing files".to_owned(),
        ),
        (
            "driver=qcow2,file.filename=@/top,backing.foo=1",
            alone,
            "Block format 'qcow2' does not support the option 'backing.foo'".to_owned(),
        ),
        (
            "driver=qcow2,file.filename=@/top,backing.foo=1",
            plain,
            format!("Could not open backing file: Could not open '{gone}': No such file or directory"),
        ),
        (
            "driver=qcow2,file.filename=@/top,backing=xx",
            plain,
            "Could not open backing file: Cannot find device='xx' nor node-name='xx'".to_owned(),
        ),
        (
            "driver=raw,file.filename=@/base,read-only=ON",
            plain,
            "Parameter 'read-only' expects 'on' or 'off'".to_owned(),
        ),
        ("driver=raw,file.filename=@/base,offset=2M", plain, "Offset (2097152) cannot be greater than size of the containing file (1048576)".to_owned()),
        ("driver=raw,file.filename=@/base,offset=512,size=1000", plain, "Specified size is not multiple of 512".to_owned()),
        ("driver=qcow2,file.filename=@/top,overlap-check=xx,backing=", plain, "Unsupported value 'xx' for qcow2 option 'overlap-check'. Allowed are any of the following: none, constant, cached, all".to_owned()),
    ];
    for (text, flags, expected) in rows {
        assert_eq!(words(text, flags), expected, "{text}");
    }
}

/// Whether each side can open while the other has the image open, as the real tool does among itself.
#[test]
fn locks_keep_out_whom_they_shall() {
    use std::io::Write;
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let image = path(&directory, "q");
    if !real_ok("qemu-img", &["create", "-q", "-f", "qcow2", "q", "1M"], at) {
        return;
    }
    let read_only = OpenFlags::default();
    let shared = OpenFlags {
        force_share: true,
        ..read_only
    };
    let metadata = OpenFlags {
        no_io: true,
        ..read_only
    };
    let hint = format!("Is another process using the image [{image}]?");
    let write_lock = format!("Could not open '{image}': Failed to get \"write\" lock");
    let shared_lock = format!("Could not open '{image}': Failed to get shared \"write\" lock");
    let environment = Environment::default();

    // The real tool holds the image; ours comes second.
    let held = |arguments: &[&str], check: &dyn Fn()| {
        let mut child = Command::new("qemu-io")
            .args(arguments)
            .args(["-f", "qcow2", "q"])
            .current_dir(at)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        // Writers are kept out whoever holds it: as soon as that is so, it is open.
        for _ in 0..200 {
            if words_of(&image, writable()) != "opened" {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        check();
        input.write_all(b"quit\n").unwrap();
        child.wait().unwrap();
    };
    held(&[], &|| {
        assert_eq!(words_of(&image, writable()), write_lock);
        assert_eq!(words_of(&image, read_only), shared_lock);
        assert_eq!(words_of(&image, metadata), shared_lock);
        assert_eq!(words_of(&image, shared), "opened");
        let error = open(&by_name(&image, None), read_only, &environment).unwrap_err();
        assert_eq!(error.hints(), std::slice::from_ref(&hint));
    });
    held(&["-r"], &|| {
        assert_eq!(words_of(&image, writable()), write_lock);
        assert_eq!(words_of(&image, read_only), "opened");
    });

    // Ours holds it; the real tool comes second.
    let real_words = |arguments: &[&str]| {
        let output = real("qemu-io", arguments, at).unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let node = open(&by_name(&image, None), writable(), &environment).unwrap();
    assert!(real_words(&["-c", "quit", "q"]).contains("Failed to get \"write\" lock"));
    assert!(real_words(&["-r", "-c", "quit", "q"]).contains("Failed to get shared \"write\" lock"));
    assert_eq!(real_words(&["-r", "-U", "-c", "quit", "q"]), "");
    node.close().unwrap();
    assert_eq!(real_words(&["-c", "quit", "q"]), "");
    let node = open(&by_name(&image, None), read_only, &environment).unwrap();
    assert!(real_words(&["-c", "quit", "q"]).contains("Failed to get \"write\" lock"));
    assert_eq!(real_words(&["-r", "-c", "quit", "q"]), "");
    drop(node);
    assert_eq!(real_words(&["-c", "quit", "q"]), "");
}

fn overlay_on(directory: &tempfile::TempDir) -> Option<String> {
    let at = directory.path();
    std::fs::write(
        at.join("base"),
        [vec![0x11; 65536], vec![0; 1 << 20]].concat(),
    )
    .unwrap();
    let create = [
        "create", "-q", "-f", "qcow2", "-b", "base", "-F", "raw", "top",
    ];
    real_ok("qemu-img", &create, at).then(|| path(directory, "top"))
}

#[test]
fn copy_on_read_brings_whole_clusters_to_the_top() {
    let directory = tempfile::tempdir().unwrap();
    let Some(top) = overlay_on(&directory) else {
        return;
    };
    let flags = OpenFlags {
        copy_on_read: true,
        ..writable()
    };
    let node = open(&by_name(&top, None), flags, &Environment::default()).unwrap();
    assert_eq!(read(&node, 1000, 10), [0x11; 10]);
    assert_eq!(read(&node, 500_000, 10), [0; 10]);
    let allocated = |offset| node.extent(GuestOffset::new(offset), 1 << 20).unwrap();
    assert_eq!(allocated(0).length, 65536);
    assert!(allocated(0).allocated && allocated(0).data);
    assert!(!allocated(65536).allocated);
    assert!(allocated(500_000).allocated && allocated(500_000).zero);
    node.close().unwrap();
    assert!(real_ok("qemu-img", &["check", "top"], directory.path()));
    assert!(real_ok(
        "qemu-img",
        &["compare", "-f", "qcow2", "-F", "raw", "top", "base"],
        directory.path()
    ));
}

#[test]
fn a_temporary_overlay_leaves_no_trace() {
    let directory = tempfile::tempdir().unwrap();
    let Some(top) = overlay_on(&directory) else {
        return;
    };
    let before = std::fs::read(&top).unwrap();
    let flags = OpenFlags {
        temporary_overlay: true,
        ..writable()
    };
    let node = open(&by_name(&top, None), flags, &Environment::default()).unwrap();
    node.write_at(GuestOffset::new(100), &[5; 100]).unwrap();
    assert_eq!(read(&node, 99, 3), [0x11, 5, 5]);
    assert_eq!(read(&node, 199, 2), [5, 0x11]);
    node.close().unwrap();
    assert_eq!(std::fs::read(&top).unwrap(), before);
}

#[test]
fn networks_are_refused_by_name() {
    for (name, expected) in [
        ("nbd:localhost:1", "Protocol 'nbd' is not supported"),
        (
            "nbd+unix:///x?socket=y",
            "Protocol 'nbd+unix' is not supported",
        ),
        ("http://127.0.0.1:1/x", "Protocol 'http' is not supported"),
        ("foo:bar", "Unknown protocol 'foo'"),
    ] {
        let words = words_of(name, OpenFlags::default());
        assert_eq!(words, format!("Could not open '{name}': {expected}"));
    }
}

#[test]
fn formats_that_are_not_built_are_never_taken_for_raw() {
    let directory = tempfile::tempdir().unwrap();
    let mut vdi = [0; 68];
    vdi[64..].copy_from_slice(&[0x7f, 0x10, 0xda, 0xbe]);
    for (head, name, expected) in [
        (&b"KDMV"[..], "a", Some("vmdk")),
        (b"COWD", "a", Some("vmdk")),
        (b"# Disk DescriptorFile\nversion=1\n", "a", Some("vmdk")),
        (b"# Disk DescriptorFile\nversion=9\n", "a", None),
        (b"conectix", "a", Some("vpc")),
        (b"vhdxfile", "a", Some("vhdx")),
        (b"QED\0", "a", Some("qed")),
        (b"QED\x01", "a", None),
        (&vdi, "a", Some("vdi")),
        (b"WithoutFreeSpace\x02\0\0\0", "a", Some("parallels")),
        (b"WithoutFreeSpace\x01\0\0\0", "a", None),
        (b"Bochs Virtual HD Image", "a", None),
        (b"", "a.dmg", Some("dmg")),
    ] {
        let path = directory.path().join(name);
        let mut bytes = head.to_vec();
        bytes.resize(1024, 0);
        std::fs::write(&path, bytes).unwrap();
        let path = path.to_string_lossy().into_owned();
        match (
            open(
                &by_name(&path, None),
                OpenFlags::default(),
                &Environment::default(),
            ),
            expected,
        ) {
            (Ok(node), None) => node.close().unwrap(),
            (Err(error), Some(driver)) => {
                let words = format!("Could not open '{path}': Unknown driver '{driver}'");
                assert_eq!(error.to_string(), words);
            }
            (outcome, _) => panic!("{head:?}: {:?}", outcome.map(|_| ())),
        }
    }
}
