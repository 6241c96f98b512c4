//! Targets for one structure or one driver each.

use super::{FILE_CAP, ITERATION_CAP, describe, file_of, read_everything};
use crate::base::GuestOffset;
use crate::codec::Compression;
use crate::crypto::secret::Secret;
use crate::driver::luks::{Luks, LuksOpenOptions};
use crate::driver::memory::Memory;
use crate::driver::qcow1::{Qcow1, Qcow1OpenOptions};
use crate::driver::qcow2::{Qcow2, Qcow2OpenOptions};
use crate::format::qcow2::snapshot_table::{self, SnapshotTable};
use crate::graph::OptionTree;
use crate::graph::options::{parse_keyval, parse_options, values};
use crate::node::{HostFile, Node, Repair};

fn key() -> Secret {
    Secret::new(b"fuzz".to_vec())
}

/// qcow v1: opens arbitrary bytes, reads what there is, writes a little.
pub fn qcow1_read(data: &[u8]) {
    let options = Qcow1OpenOptions {
        key: (data.get(39) == Some(&1)).then(key),
        ..Qcow1OpenOptions::default()
    };
    if let Ok(image) = Qcow1::open(file_of(data), options.clone()) {
        read_everything(&*image);
    }
    let options = Qcow1OpenOptions {
        writable: true,
        ..options
    };
    if let Ok(image) = Qcow1::open(file_of(data), options) {
        for offset in [0, 512, 30_000] {
            let _ = image.write_at(GuestOffset::new(offset), &[0x5a; 1024]);
        }
        let _ = image.write_compressed(GuestOffset::new(8192), &[0x77; 4096]);
        read_everything(&*image);
    }
}

/// LUKS1: opens arbitrary bytes with and without the key; what is written must be read again.
pub fn luks_open(data: &[u8]) {
    let options = |no_io: bool| LuksOpenOptions {
        key: (!no_io).then(key),
        no_io,
        max_iterations: Some(ITERATION_CAP),
        ..LuksOpenOptions::default()
    };
    if let Ok(volume) = Luks::open(file_of(data), options(true)) {
        describe(&*volume);
    }
    if let Ok(volume) = Luks::open(file_of(data), options(false)) {
        read_everything(&*volume);
        let written = [0x5a; 1024];
        if volume.write_at(GuestOffset::ZERO, &written).is_ok() {
            let mut seen = [0; 1024];
            let read = volume.read_at(GuestOffset::ZERO, &mut seen);
            assert!(read.is_err() || seen == written, "a sector changed");
        }
    }
}

/// The codecs: arbitrary bytes inflated into a cluster, and a round trip of them as data.
pub fn compressed_cluster(data: &[u8]) {
    let Some((&choice, data)) = data.split_first() else {
        return;
    };
    let codec = if choice & 1 == 0 {
        Compression::Deflate
    } else {
        Compression::Zstd
    };
    let mut cluster = vec![0; 512 << (choice >> 1 & 7)];
    let _ = codec.decompress(data, &mut cluster);
    let mut compressed = Vec::new();
    if codec.compress(data, &mut compressed).is_ok_and(|fits| fits) {
        let mut again = vec![0; data.len()];
        codec
            .decompress(&compressed, &mut again)
            .expect("our own bytes inflate");
        assert_eq!(again, data, "a round trip changed data");
    }
}

/// The snapshot table: parsed, stored, parsed again.
pub fn snapshot_table(data: &[u8]) {
    let Some((&count, data)) = data.split_first() else {
        return;
    };
    for trim in [false, true] {
        let Ok(table) = SnapshotTable::parse(data, u32::from(count), trim) else {
            continue;
        };
        snapshot_table::next_id(&table.snapshots);
        let Ok(stored) = snapshot_table::encode(&table.snapshots, 1 << 20) else {
            continue;
        };
        let again = SnapshotTable::parse(&stored, u32::from(count), trim).expect("our own table");
        for (a, b) in table.snapshots.iter().zip(&again.snapshots) {
            let facts = |s: &snapshot_table::Snapshot| {
                (
                    s.l1_offset,
                    s.l1_entries,
                    s.id.clone(),
                    s.name.clone(),
                    s.vm_state_size,
                )
            };
            assert_eq!(facts(a), facts(b), "a snapshot changed in a round trip");
        }
    }
}

/// `-o`, `--image-opts` and `json:` texts.
pub fn option_tree(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut trees: Vec<OptionTree> = vec![
        parse_options(text, None).tree,
        parse_options(text, Some("driver")).tree,
    ];
    trees.extend(OptionTree::from_json_name(text));
    trees.extend(parse_keyval(text, "qom-type").map(|parsed| parsed.tree));
    let _ = crate::base::size::parse(text);
    for tree in trees {
        let names: Vec<String> = tree.iter().map(|(name, _)| name.to_owned()).collect();
        for name in names {
            let _ = tree.clone().take_switch(&name);
            let _ = tree.clone().take_size(&name);
            let _ = tree.clone().take_number(&name);
            let _ = tree.clone().take_text(&name);
            let _ = values::parse_number(&name, &name);
        }
    }
}

/// `check`, and its repairs on an image in memory: what it calls repaired must be so.
pub fn check(data: &[u8]) {
    let options = Qcow2OpenOptions {
        check: true,
        ..Qcow2OpenOptions::default()
    };
    for repair in [Repair::Leaks, Repair::All] {
        let memory = std::sync::Arc::new(Memory::new(data.to_vec(), FILE_CAP));
        let writable = Qcow2OpenOptions {
            writable: true,
            ..options.clone()
        };
        let Ok(image) = Qcow2::open(HostFile::new(memory.clone()), &writable) else {
            return;
        };
        let report = image.check(repair, &mut |_| {});
        let closed = image.close();
        drop(image);
        if let Ok(image) = Qcow2::open(file_of(&memory.snapshot()), &options) {
            let second = image.check(Repair::Nothing, &mut |_| {});
            if let (Ok(first), Ok(second), Ok(())) = (report, second, closed)
                && repair == Repair::All
                && (first.corruptions, first.check_errors) == (0, 0)
            {
                assert_eq!(second.corruptions, 0, "repaired, and yet corrupt");
            }
        }
    }
}
