use super::*;

/// `qemu-img create -f qcow x 1M`, first 48 bytes.
fn real() -> [u8; HEADER_SIZE] {
    let mut bytes = [0; HEADER_SIZE];
    bytes[..8].copy_from_slice(b"QFI\xfb\0\0\0\x01");
    bytes[24..32].copy_from_slice(&0x10_0000u64.to_be_bytes());
    bytes[32] = 12;
    bytes[33] = 9;
    bytes[47] = 48;
    bytes
}

fn patched(offset: usize, value: &[u8]) -> [u8; HEADER_SIZE] {
    let mut bytes = real();
    bytes[offset..offset + value.len()].copy_from_slice(value);
    bytes
}

#[test]
fn a_real_header_is_read_and_written_back() {
    let header = Header::parse(&real()).unwrap();
    assert_eq!(header.size, 1 << 20);
    assert_eq!(header.l1_table_offset, HostOffset::new(48));
    let geometry = header.geometry().unwrap();
    assert_eq!(
        (
            geometry.cluster_size(),
            geometry.l2_entries(),
            geometry.l1_entries()
        ),
        (4096, 512, 1)
    );
    assert_eq!(header.to_bytes(), real());
}

#[test]
fn one_fault_one_error() {
    let cases: [(usize, &[u8], HeaderError); 10] = [
        (3, &[0xfa], HeaderError::Magic),
        (7, &[2], HeaderError::Version(2)),
        (4, &[0xff; 4], HeaderError::Version(u32::MAX)),
        (24, &1u64.to_be_bytes(), HeaderError::TooSmall),
        (32, &[8], HeaderError::ClusterSize),
        (32, &[17], HeaderError::ClusterSize),
        (33, &[5], HeaderError::L2Size),
        (33, &[14], HeaderError::L2Size),
        // The first fault in the order of the specification wins.
        (32, &[8, 5], HeaderError::ClusterSize),
        (0, &[0, 0, 0, 0, 0, 0, 0, 9], HeaderError::Magic),
    ];
    for (offset, value, expected) in cases {
        assert_eq!(Header::parse(&patched(offset, value)), Err(expected));
    }
}

#[test]
fn encryption_is_matched_with_the_option() {
    let plain = Header::parse(&real()).unwrap();
    assert_eq!(plain.crypt(None), Ok(Crypt::None));
    assert_eq!(
        plain.crypt(Some("aes")),
        Err(HeaderError::NoEncryption("aes".to_owned()))
    );
    let aes = Header::parse(&patched(39, &[1])).unwrap();
    assert_eq!(aes.crypt(None), Ok(Crypt::Aes));
    assert_eq!(aes.crypt(Some("aes")), Ok(Crypt::Aes));
    assert_eq!(
        aes.crypt(Some("qcow")).unwrap_err().to_string(),
        "Header reported 'aes' encryption format but options specify 'qcow'"
    );
    let other = Header::parse(&patched(39, &[2])).unwrap();
    assert_eq!(other.crypt(Some("aes")), Err(HeaderError::EncryptionMethod));
}

#[test]
fn sizes_at_the_edges() {
    let geometry = |size: u64| {
        Header::parse(&patched(24, &size.to_be_bytes()))
            .unwrap()
            .geometry()
    };
    assert_eq!(geometry(511).unwrap().size(), 0);
    assert_eq!(geometry(511).unwrap().l1_entries(), 1);
    assert_eq!(geometry(513).unwrap().size(), 512);
    let most = QCOW1_MAX_L1_ENTRIES << 21;
    assert_eq!(geometry(most).unwrap().l1_entries(), QCOW1_MAX_L1_ENTRIES);
    assert_eq!(geometry(most + 1), Err(HeaderError::TooLarge));
    assert_eq!(geometry(u64::MAX - (1 << 21)), Err(HeaderError::TooLarge));
    assert_eq!(geometry(u64::MAX), Err(HeaderError::TooLarge));
}

#[test]
fn backing_name_has_a_cap_only_when_there_is_one() {
    let length = |offset: u64, size: u32| {
        let mut header = Header::parse(&real()).unwrap();
        header.backing_name_offset = HostOffset::new(offset);
        header.backing_name_size = size;
        header.backing_name_length()
    };
    assert_eq!(length(0, u32::MAX), Ok(0));
    assert_eq!(length(48, 1023), Ok(1023));
    assert_eq!(length(48, 1024), Err(HeaderError::BackingNameTooLong));
}

#[test]
fn version_two_is_pointed_to_its_driver() {
    let error = Error::from(HeaderError::Version(3));
    assert_eq!(
        error.to_string(),
        "qcow (v1) does not support qcow version 3"
    );
    assert_eq!(error.hints(), ["Try the 'qcow2' driver instead."]);
    assert!(Error::from(HeaderError::Version(4)).hints().is_empty());
}

#[test]
fn probing_needs_magic_and_version() {
    assert!(probe(&real()));
    assert!(probe(&real()[..8]));
    assert!(!probe(&real()[..7]));
    assert!(!probe(&patched(7, &[2])));
}
