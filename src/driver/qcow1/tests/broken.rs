use super::*;
use crate::base::GuestOffset;
use crate::base::error::errno;
use crate::node::Node;

fn patched(mut bytes: Vec<u8>, offset: usize, value: &[u8]) -> Vec<u8> {
    if bytes.len() < offset + value.len() {
        bytes.resize(offset + value.len(), 0);
    }
    bytes[offset..offset + value.len()].copy_from_slice(value);
    bytes
}

fn refused(bytes: Vec<u8>) -> crate::base::Error {
    open_bytes(bytes, None).err().expect("opened")
}

fn read_error(fixture: &Fixture) -> i32 {
    let mut buffer = [0; 512];
    fixture
        .image
        .read_at(GuestOffset::ZERO, &mut buffer)
        .map_or_else(|error| error.errno(), |()| 0)
}

#[test]
fn a_huge_size_takes_no_memory_and_no_time() {
    let bytes = patched(
        created(1 << 20, None, None),
        24,
        &(1u64 << 48).to_be_bytes(),
    );
    let fixture = open_bytes(bytes, None).unwrap();
    let extent = fixture.image.extent(GuestOffset::ZERO, 1 << 48).unwrap();
    assert!(!extent.allocated);
    assert_eq!(extent.length, 1 << 48);
    let last = GuestOffset::new((1 << 48) - 512);
    let mut buffer = [1; 512];
    fixture.image.read_at(last, &mut buffer).unwrap();
    assert_eq!(buffer, [0; 512]);
}

#[test]
fn l1_tables_that_cannot_be_read_are_bare_io_errors() {
    let header = created(1 << 20, None, None);
    let far = patched(header.clone(), 40, &(i64::MAX as u64 - 6).to_be_bytes());
    assert!(refused(far).is_bare());
    let fits = patched(header.clone(), 40, &(i64::MAX as u64 - 8).to_be_bytes());
    assert!(open_bytes(fits, None).is_ok());
    // qcow1 §5, notes: 268435392 entries open, one more does not.
    let entries = |count: u64| patched(header.clone(), 24, &(count << 21).to_be_bytes());
    assert!(open_bytes(entries(268_435_392), None).is_ok());
    assert_eq!(refused(entries(268_435_393)).errno(), errno::EIO);
    assert_eq!(refused(entries(268_435_456)).to_string(), "Image too large");
}

#[test]
fn backing_names_are_cut_at_nul_and_missing_behind_the_file() {
    let bytes = created(1 << 20, Some("base.raw"), None);
    let name = |bytes: Vec<u8>| {
        let fixture = open_bytes(bytes, None).unwrap();
        fixture
            .image
            .backing_reference()
            .map(|reference| reference.name)
    };
    assert_eq!(name(bytes.clone()).as_deref(), Some("base.raw"));
    assert_eq!(
        name(patched(bytes.clone(), 52, &[0])).as_deref(),
        Some("base")
    );
    assert_eq!(name(patched(bytes.clone(), 48, &[0])), None);
    assert_eq!(name(patched(bytes.clone(), 8, &[0, 1])), None);
    assert!(refused(patched(bytes, 8, &[0xff])).is_bare());
}

#[test]
fn mappings_that_cannot_be_are_io_errors() {
    let image = created(1 << 20, None, None);
    let with_entry = |entry: u64| {
        let bytes = patched(image.clone(), 48, &4097u64.to_be_bytes());
        open_bytes(patched(bytes, 4097, &entry.to_be_bytes()), None).unwrap()
    };
    assert_eq!(read_error(&with_entry(0x2200)), 0);
    assert_eq!(read_error(&with_entry(0x2201)), errno::EIO);
    assert_eq!(read_error(&with_entry(1 << 63)), errno::EIO);
    assert_eq!(
        read_error(&with_entry((1 << 63) | (5 << 51) | 0x2000)),
        errno::EIO
    );
    for table in [1 << 63, i64::MAX as u64 - 4094] {
        let far_table = patched(image.clone(), 48, &u64::to_be_bytes(table));
        assert_eq!(
            read_error(&open_bytes(far_table, None).unwrap()),
            errno::EIO
        );
    }
}

#[test]
fn a_partial_write_copies_the_rest_from_the_backing_node() {
    // The real tool leaves zeros here (qcow1 §6): its images with a backing file have 512-byte clusters.
    let bytes = patched(created(1 << 20, None, None), 8, &48u64.to_be_bytes());
    let fixture = open_bytes(bytes, None).unwrap();
    let base = Arc::new(Memory::new(vec![0x77; 6000], 1 << 20));
    fixture.image.set_backing(Some(base)).unwrap();
    fixture
        .image
        .write_at(GuestOffset::new(4096 + 512), &[0x11; 512])
        .unwrap();
    let mut cluster = vec![0; 4096];
    fixture
        .image
        .read_at(GuestOffset::new(4096), &mut cluster)
        .unwrap();
    assert_eq!(cluster[..512], [0x77; 512]);
    assert_eq!(cluster[512..1024], [0x11; 512]);
    assert_eq!(cluster[1024..1904], [0x77; 880]);
    assert_eq!(cluster[1904..], [0; 2192]);
}

#[test]
fn a_key_is_needed_for_data_but_not_for_info() {
    let bytes = created(1 << 20, None, Some("pw"));
    assert_eq!(
        refused(bytes.clone()).to_string(),
        "Parameter 'encrypt.key-secret' is required for cipher"
    );
    let (_, file) = memory(bytes);
    let no_io = Qcow1OpenOptions {
        no_io: true,
        ..Qcow1OpenOptions::default()
    };
    let image = Qcow1::open(file, no_io).unwrap();
    assert!(image.info().unwrap().encrypted);
    assert_eq!(
        image
            .write_at(GuestOffset::ZERO, &[0; 512])
            .unwrap_err()
            .errno(),
        errno::EPERM
    );
}

#[test]
fn a_full_disk_leaves_the_old_content() {
    let memory = Arc::new(Memory::new(created(1 << 20, None, None), 16384));
    let image = Qcow1::open(HostFile::new(memory), options(None)).unwrap();
    image.write_at(GuestOffset::ZERO, &[1; 8192]).unwrap();
    let error = image.write_at(GuestOffset::ZERO, &[2; 16384]).unwrap_err();
    assert_eq!(error.errno(), errno::ENOSPC);
    let mut buffer = vec![0; 16384];
    image.read_at(GuestOffset::ZERO, &mut buffer).unwrap();
    assert_eq!(buffer[..8192], [1; 8192]);
    assert_eq!(buffer[8192..], [0; 8192]);
}
