use super::*;

fn entry(kind: u8, bit: u8, name: &str) -> FeatureName {
    FeatureName {
        kind,
        bit,
        name: name.as_bytes().to_vec(),
    }
}

#[test]
fn unknown_bits_are_named_as_the_real_tool_names_them() {
    let words = |mask, names: &[FeatureName]| unknown_incompatible(mask, names);
    assert_eq!(words(0x20, &[]), "Unknown incompatible feature: 20");
    let mine = entry(0, 5, "mybit");
    assert_eq!(words(0x20, std::slice::from_ref(&mine)), "mybit");
    assert_eq!(
        words(0x20 | 1 << 40, std::slice::from_ref(&mine)),
        "mybit, Unknown incompatible feature: 10000000000"
    );
    // Observed: the first name wins, an empty one is none, bits count modulo 64.
    assert_eq!(words(0x20, &[mine, entry(0, 5, "other")]), "mybit");
    assert_eq!(
        words(0x20, &[entry(0, 5, "")]),
        "Unknown incompatible feature: 20"
    );
    assert_eq!(words(0x20, &[entry(0, 69, "m")]), "m");
    assert_eq!(
        words(0x20, &[entry(1, 5, "m")]),
        "Unknown incompatible feature: 20"
    );
}

#[test]
fn the_written_table_reads_back_with_its_eight_names() {
    let bytes = encode();
    assert_eq!(bytes.len(), 384);
    let names = parse(&bytes);
    assert_eq!(names.len(), 8);
    assert_eq!(names[4], entry(0, 4, "extended L2 entries"));
    assert_eq!(names[7], entry(2, 1, "raw external data"));
    assert_eq!(parse(&bytes[..95]).len(), 1);
}
