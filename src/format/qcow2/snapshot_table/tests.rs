use super::*;

/// Two entries as the real tool wrote them (names `a` and `b b`).
fn real_table() -> Vec<u8> {
    let mut bytes = Vec::new();
    for (offset, id, name, date) in [
        (0x6_0000_u64, b'1', &b"a"[..], 0x252e_e7d8_u32),
        (0x8_0000, b'2', b"b b", 0x25e5_ace8),
    ] {
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend(offset.to_be_bytes());
        bytes.extend([0, 0, 0, 1, 0, 1, 0, u8::try_from(name.len()).unwrap()]);
        bytes.extend([0x6b, 0x03, 0x4c, 0xca]);
        bytes.extend(date.to_be_bytes());
        bytes.extend([0; 12]);
        bytes.extend([0, 0, 0, 24]);
        bytes.extend([0; 8]);
        bytes.extend((1_u64 << 20).to_be_bytes());
        bytes.extend([0; 8]);
        bytes.push(id);
        bytes.extend(name);
    }
    bytes
}

#[test]
fn the_real_tools_table_is_read_and_written_back() {
    let bytes = real_table();
    let table = SnapshotTable::parse(&bytes, 2, false).unwrap();
    assert_eq!(table.bytes, bytes.len());
    assert_eq!(table.snapshots[1].name, b"b b");
    assert_eq!(table.snapshots[1].disk_size, Some(1 << 20));
    assert_eq!(table.snapshots[1].icount, Some(0));
    assert_eq!(next_id(&table.snapshots), 3);
    assert_eq!(encode(&table.snapshots, 0).unwrap(), bytes);
}

#[test]
fn missing_bytes_are_asked_for_step_by_step() {
    let bytes = real_table();
    let mut available = 0;
    let mut rounds = 0;
    loop {
        match SnapshotTable::parse(&bytes[..available], 2, false) {
            Ok(table) => break assert_eq!(table.bytes, bytes.len()),
            Err(SnapshotTableError::Need(needed)) => {
                assert!(needed > available && needed <= bytes.len());
                available = needed;
            }
            Err(error) => panic!("{error}"),
        }
        rounds += 1;
    }
    assert_eq!(rounds, 4);
}

#[test]
fn extra_data_may_be_shorter_and_longer() {
    for (length, disk_size, icount) in [
        (0_u8, None, None),
        (8, None, None),
        (15, None, None),
        (16, Some(1 << 20), None),
        (23, Some(1 << 20), None),
        (24, Some(1 << 20), Some(0)),
    ] {
        let mut bytes = real_table();
        bytes[39] = length;
        bytes.resize(200, 0);
        let table = SnapshotTable::parse(&bytes, 1, false).unwrap();
        let snapshot = &table.snapshots[0];
        assert_eq!((snapshot.disk_size, snapshot.icount), (disk_size, icount));
        assert_eq!(snapshot.incomplete(), length < 16);
    }
    let mut bytes = real_table();
    bytes[39] = 40;
    bytes.resize(200, 0x5a);
    bytes[80..82].copy_from_slice(b"7n");
    let table = SnapshotTable::parse(&bytes, 1, false).unwrap();
    assert_eq!(table.snapshots[0].unknown_extra.len(), 16);
    assert_eq!(encode(&table.snapshots, 0).unwrap(), bytes[..table.bytes]);
}

#[test]
fn too_much_is_refused_with_the_hint() {
    let mut bytes = real_table();
    bytes[36..40].copy_from_slice(&1025_u32.to_be_bytes());
    bytes.resize(4096, 0);
    let error: Error = SnapshotTable::parse(&bytes, 1, false).unwrap_err().into();
    assert_eq!(
        error.to_string(),
        "Too much extra metadata in snapshot table entry 0"
    );
    assert_eq!(
        error.hints(),
        ["You can force-remove this extra metadata with qemu-img check -r all"]
    );
    let table = SnapshotTable::parse(&bytes, 1, true).unwrap();
    assert_eq!(
        (table.trimmed, table.snapshots[0].extra_bytes),
        (vec![(0, 1025)], 1024)
    );
}

#[test]
fn an_endless_table_ends_at_the_cap_without_being_asked_for_whole() {
    // Claims 4 GiB of extra data: refused or cut by its length alone.
    let mut bytes = real_table();
    bytes[36..40].fill(0xff);
    let error = SnapshotTable::parse(&bytes, 3, true).unwrap_err();
    assert_eq!(error, SnapshotTableError::TooLong { overhanging: 3 });
}

#[test]
fn ids_that_are_no_numbers_count_as_what_they_begin_with() {
    let with_id = |id: &[u8]| Snapshot {
        id: id.to_vec(),
        ..Snapshot::default()
    };
    assert_eq!(next_id(&[]), 1);
    assert_eq!(next_id(&[with_id(b"x")]), 1);
    assert_eq!(next_id(&[with_id(b"7b"), with_id(b"3")]), 8);
}
