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
