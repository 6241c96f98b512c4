use super::*;

const START: usize = 112;

/// A header cluster with these bytes as its extensions, and with that place as the backing name's.
fn cluster(crypt_method: u8, backing_offset: u64, extensions: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 0x1_0000];
    bytes[..8].copy_from_slice(&0x5146_49fb_0000_0003_u64.to_be_bytes());
    bytes[8..16].copy_from_slice(&backing_offset.to_be_bytes());
    bytes[16..20].copy_from_slice(&3_u32.to_be_bytes());
    bytes[23] = 16;
    bytes[35] = crypt_method;
    bytes[103] = 112;
    bytes[START..START + extensions.len()].copy_from_slice(extensions);
    bytes
}

fn extension(kind: u32, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    push(&mut out, kind, data);
    out
}

fn parse(bytes: &[u8]) -> (Extensions, Result<(), ExtensionError>) {
    Extensions::parse(bytes, &Header::parse(bytes).unwrap())
}

fn words(bytes: &[u8]) -> String {
    parse(bytes).1.expect_err("must be refused").to_string()
}

#[test]
fn faults_have_the_real_words() {
    let crypto = |data: &[u8]| extension(CRYPTO_HEADER, data);
    assert_eq!(
        words(&cluster(
            0,
            0,
            &extension(BACKING_FORMAT, b"0123456789abcdef")
        )),
        "ERROR: ext_backing_format: len=16 too large (>=16)"
    );
    assert_eq!(
        words(&cluster(1, 0, &crypto(&[0; 16]))),
        "CRYPTO header extension only expected with LUKS encryption method"
    );
    assert_eq!(
        words(&cluster(2, 0, &crypto(&[0; 24]))),
        "CRYPTO header extension size 24, but expected size 16"
    );
    let mut place = [0; 16];
    place[6] = 2;
    assert_eq!(
        words(&cluster(2, 0, &crypto(&place))),
        "Encryption header offset '512' is not a multiple of cluster size '65536'"
    );
}

#[test]
fn lengths_are_held_against_the_area_as_observed() {
    let raw = |kind: u32, length: u32| {
        let mut bytes = kind.to_be_bytes().to_vec();
        bytes.extend(length.to_be_bytes());
        bytes
    };
    let verdict = |offset, bytes: &[u8]| parse(&cluster(0, offset, bytes)).1;
    let too_large = Err(ExtensionError::TooLarge);
    assert_eq!(verdict(0, &raw(0x1234_5678, 65_536 - 120)), Ok(()));
    assert_eq!(verdict(0, &raw(0x1234_5678, 65_536 - 119)), too_large);
    // Padding may cross the end; data may not.
    assert_eq!(verdict(130, &raw(0x1234_5678, 9)), Ok(()));
    assert_eq!(verdict(129, &raw(0x1234_5678, 9)), Ok(()));
    assert_eq!(verdict(128, &raw(0x1234_5678, 9)), too_large);
    // An extension's own header may not cross the end, and END's length counts.
    assert_eq!(verdict(116, &raw(0x1234_5678, 9)), too_large);
    assert_eq!(verdict(119, &raw(END, 0)), too_large);
    assert_eq!(verdict(120, &raw(END, 5)), too_large);
    assert_eq!(verdict(0, &raw(END, 5)), Ok(()));
    assert_eq!(verdict(0, &raw(END, 70_000)), too_large);
    // No area at all (errata 37).
    assert_eq!(verdict(4, &raw(0x1234_5678, 70_000)), Ok(()));
}

#[test]
fn duplicates_replace_and_unknown_ones_turn_round() {
    let mut area = extension(BACKING_FORMAT, b"raw");
    area.extend(extension(0xaaaa_0001, b"first"));
    area.extend(extension(BACKING_FORMAT, b"qcow2"));
    area.extend(extension(0xaaaa_0002, b"second one"));
    let bytes = cluster(0, 0, &area);
    let (extensions, result) = parse(&bytes);
    result.unwrap();
    assert_eq!(extensions.backing_format.as_deref(), Some(&b"qcow2"[..]));
    let kinds: Vec<u32> = extensions.unknown.iter().map(|e| e.kind).collect();
    assert_eq!(kinds, [0xaaaa_0002, 0xaaaa_0001]);
    let header = Header::parse(&bytes).unwrap();
    let rewritten = encode_first_cluster(&header, &extensions, Some(b"base")).unwrap();
    let again = Header::parse(&rewritten).unwrap();
    assert_eq!(again.backing_name(&rewritten).unwrap(), Some(&b"base"[..]));
    let (again, result) = Extensions::parse(&rewritten, &again);
    result.unwrap();
    let kinds: Vec<u32> = again.unknown.iter().map(|e| e.kind).collect();
    assert_eq!(kinds, [0xaaaa_0001, 0xaaaa_0002]);
    assert_eq!(again.unknown[1].data, b"second one");
}

#[test]
fn a_cluster_without_room_has_no_space() {
    let mut bytes = cluster(0, 0, &[]);
    bytes[23] = 9;
    let header = Header::parse(&bytes).unwrap();
    let extensions = Extensions {
        backing_format: Some(b"raw".to_vec()),
        ..Extensions::default()
    };
    let encode =
        |length: usize| encode_first_cluster(&header, &extensions, Some(&vec![b'x'; length]));
    // qcow2 §2: 376 bytes fit beside `-F raw`.
    assert_eq!(encode(376).unwrap().len(), 512);
    assert_eq!(encode(377), Err(HeaderError::NoSpace));
}

#[test]
fn a_data_file_has_the_name_up_to_its_nul() {
    let bytes = cluster(0, 0, &extension(DATA_FILE, b"disk.data\0rest"));
    let (extensions, outcome) = parse(&bytes);
    assert!(outcome.is_ok());
    assert_eq!(extensions.data_file.as_deref(), Some(&b"disk.data"[..]));
    assert!(extensions.unknown.is_empty());
}

/// The pieces that a reader asks for one after the other, starting with the bare header.
fn pieces(bytes: &[u8]) -> Vec<usize> {
    let header = Header::parse(bytes).unwrap();
    let mut known = START;
    let mut asked = Vec::new();
    while let Some(needed) = bytes_needed(&bytes[..known], &header, bytes.len()) {
        assert!(needed > known && needed <= bytes.len());
        asked.push(needed);
        known = needed;
    }
    asked
}

#[test]
fn so_much_of_the_first_cluster_is_asked_for_as_there_is_to_read() {
    // The end alone: eight bytes.
    assert_eq!(pieces(&cluster(0, 0, &[])), [START + 8]);
    // One of twelve bytes: its head; then what it holds, padded, and the next head.
    let one = extension(DATA_FILE, b"twelve bytes");
    assert_eq!(pieces(&cluster(0, 0, &one)), [START + 8, START + 32]);
    // A backing name behind the extensions is asked for at once; extensions end where it starts.
    let start = u64::try_from(START).unwrap();
    assert_eq!(pieces(&cluster(0, start + 8, &[])), [START + 11]);
    assert_eq!(pieces(&cluster(0, start, &one)), [START + 3]);
    // What is too large is not read.
    let mut large = extension(DATA_FILE, b"");
    large[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
    assert_eq!(pieces(&cluster(0, 0, &large)), [START + 8]);
}
