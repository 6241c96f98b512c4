use super::*;
use crate::format::qcow2::extension::encode_first_cluster;

/// The first cluster of `create -f qcow2 … 64M`, from the worked example (qcow2 §17).
fn default_cluster() -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [
        0x5146_49fb_0000_0003_u64,
        0,
        0x10,
        0x0400_0000,
        1,
        0x3_0000,
        0x1_0000,
        0x1_0000_0000,
        0,
        0,
        0,
        0,
        0x0000_0004_0000_0070,
        0,
        0x6803_f857_0000_0180,
    ] {
        bytes.extend(word.to_be_bytes());
    }
    bytes.extend(crate::format::qcow2::feature_names::encode());
    bytes.resize(0x1_0000, 0);
    bytes
}

fn patched(at: usize, data: &[u8]) -> Vec<u8> {
    let mut bytes = default_cluster();
    bytes[at..at + data.len()].copy_from_slice(data);
    bytes
}

/// The first error of an open, without the parts that need more than the first cluster.
fn verdict(bytes: &[u8]) -> Result<(), HeaderError> {
    let header = Header::parse(bytes)?;
    header.validate_compression()?;
    header.validate_features(bytes)?;
    header.validate_units()?;
    header.validate_tables(Tolerance::default())?;
    header.validate_l1_length()?;
    header.backing_name(bytes)?;
    header.disk_size()?;
    Ok(())
}

fn words(at: usize, data: &[u8]) -> String {
    verdict(&patched(at, data))
        .expect_err("must be refused")
        .to_string()
}

#[test]
fn the_default_header_is_read_and_written_back() {
    let bytes = default_cluster();
    verdict(&bytes).unwrap();
    let header = Header::parse(&bytes).unwrap();
    assert_eq!(header.size, 64 << 20);
    assert_eq!(header.l1_offset, HostOffset::new(0x3_0000));
    let (extensions, result) = Extensions::parse(&bytes, &header);
    result.unwrap();
    assert_eq!(extensions.feature_names.len(), 8);
    assert_eq!(
        encode_first_cluster(&header, &extensions, None).unwrap(),
        bytes
    );
}

#[test]
fn each_fault_has_the_real_words() {
    let cases: &[(usize, &[u8], &str)] = &[
        (3, b"\x00", "Image is not in qcow2 format"),
        (7, b"\x04", "Unsupported qcow2 version 4"),
        (23, b"\x3f", "Unsupported cluster size: 2^63"),
        (23, b"\x08", "Unsupported cluster size: 2^8"),
        (103, &[103], "qcow2 header too short"),
        (100, &[0, 2, 0, 0], "qcow2 header exceeds cluster size"),
        (8, &[0, 0, 0, 0, 0, 1, 0, 1], "Invalid backing file offset"),
        (104, b"\x02", "qcow2: unknown compression type: 2"),
        (
            104,
            b"\x01",
            "qcow2: Compression type incompatible feature bit must be set",
        ),
        (
            79,
            b"\x08",
            "qcow2: Compression type incompatible feature bit must not be set",
        ),
        (
            79,
            b"\x20",
            "Unsupported qcow2 feature(s): Unknown incompatible feature: 20",
        ),
        (
            96,
            &[0, 0, 0, 7],
            "Reference count entry width too large; may not exceed 64 bits",
        ),
        (
            56,
            &[0; 4],
            "Image does not contain a reference count table",
        ),
        (56, &[0, 0, 0, 129], "Reference count table too large"),
        (55, &[1], "Reference count table offset invalid"),
        (60, &[0, 1, 0, 1], "Snapshot table too large"),
        (71, &[1], "Snapshot table offset invalid"),
        (36, &[0, 0x40, 0, 1], "Active L1 table too large"),
        (47, &[1], "Active L1 table offset invalid"),
        (24, &[0x80], "Image is too big"),
        (24, &[0, 0, 0, 1], "L1 table is too small"),
        (
            24,
            &[0xff; 8],
            "Could not refresh total sector count: File too large",
        ),
    ];
    for (at, data, expected) in cases {
        assert_eq!(words(*at, data), *expected, "patch at {at}");
    }
}

#[test]
fn tables_may_reach_to_2_63_and_no_further() {
    let at = |entries: u32| {
        let mut bytes = patched(40, &0x7fff_ffff_ffff_0000_u64.to_be_bytes());
        bytes[36..40].copy_from_slice(&entries.to_be_bytes());
        verdict(&bytes)
    };
    // Observed: 8191 entries end 8 bytes below 2^63 and are tried; 8192 are refused.
    at(8191).unwrap();
    assert_eq!(at(8192), Err(HeaderError::TableOffset("Active L1 table")));
}

#[test]
fn check_tolerates_what_it_reports_itself() {
    let check = Tolerance { check: true };
    for (at, data) in [(56, [0; 4]), (60, [0, 1, 0, 1])] {
        let header = Header::parse(&patched(at, &data)).unwrap();
        header.validate_tables(check).unwrap();
        header.validate_tables(Tolerance::default()).unwrap_err();
    }
}

#[test]
fn a_subcluster_has_at_least_a_sector() {
    let mut bytes = patched(79, b"\x10");
    bytes[23] = 13;
    let header = Header::parse(&bytes).unwrap();
    assert_eq!(
        header.validate_units(),
        Err(HeaderError::SubclusterSize(256))
    );
}

#[test]
fn a_short_file_reads_as_zeros() {
    let bytes = default_cluster();
    Header::parse(&bytes[..112]).unwrap();
    assert_eq!(Header::parse(&bytes[..100]), Err(HeaderError::TooShort));
    assert_eq!(Header::parse(&bytes[..4]), Err(HeaderError::Version(0)));
    assert_eq!(Header::parse(&bytes[..3]), Err(HeaderError::Magic));
    assert_eq!(Header::parse(b""), Err(HeaderError::Magic));
}

#[test]
fn header_bytes_nobody_knows_survive_a_rewrite() {
    let mut bytes = patched(103, &[120]);
    bytes[112..120].copy_from_slice(b"whatever");
    bytes[120..128].fill(0);
    let header = Header::parse(&bytes).unwrap();
    assert_eq!(header.unknown_tail, b"whatever");
    let (extensions, result) = Extensions::parse(&bytes, &header);
    result.unwrap();
    let rewritten = encode_first_cluster(&header, &extensions, None).unwrap();
    assert_eq!(rewritten[100..104], [0, 0, 0, 120]);
    assert_eq!(rewritten[112..120], *b"whatever");
    // 105 bytes are read (errata 31) and become 112.
    let header = Header::parse(&patched(103, &[105])).unwrap();
    let rewritten = encode_first_cluster(&header, &extensions, None).unwrap();
    assert_eq!(rewritten[100..104], [0, 0, 0, 112]);
}
