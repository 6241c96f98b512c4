//! Plays every kept input of every fuzz target once, without a fuzzer: for `tools/fuzz-coverage`.

use std::path::Path;

use arbitrary::{Arbitrary as _, Unstructured};
use cowproof::fuzzing;

fn play(target: &str, bytes: &[u8]) {
    match target {
        "check" => fuzzing::check(bytes),
        "compressed_cluster" => fuzzing::compressed_cluster(bytes),
        "luks1_header" => fuzzing::luks1_header(bytes),
        "luks_open" => fuzzing::luks_open(bytes),
        "option_tree" => fuzzing::option_tree(bytes),
        "qcow1_header" => fuzzing::qcow1_header(bytes),
        "qcow1_read" => fuzzing::qcow1_read(bytes),
        "qcow2_header" => fuzzing::qcow2_header(bytes),
        "qcow2_read" => fuzzing::qcow2_read(bytes),
        "snapshot_table" => fuzzing::snapshot_table(bytes),
        "qcow2_ops" => {
            if let Ok(session) = fuzzing::Session::arbitrary_take_rest(Unstructured::new(bytes)) {
                fuzzing::qcow2_ops(&session);
            }
        }
        other => panic!("no fuzz target {other}"),
    }
}

fn main() {
    let mut played = 0;
    for directory in std::env::args_os().skip(1) {
        let directory = Path::new(&directory);
        let target = directory.file_name().and_then(|name| name.to_str());
        let target = target.expect("a directory named like its target");
        for entry in std::fs::read_dir(directory).expect("a directory of inputs") {
            let path = entry.expect("an entry").path();
            play(target, &std::fs::read(path).expect("an input"));
            played += 1;
        }
    }
    println!("{played} inputs");
}
