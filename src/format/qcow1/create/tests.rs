use super::*;

#[test]
fn layouts_have_the_real_tools_lengths() {
    // qcow1 §8, recorded from `qemu-img create -f qcow`.
    for (size, backing, l1_offset, length) in [
        (1 << 20, None, 48, 560),
        (1, None, 48, 560),
        (16 << 30, None, 48, 65_584),
        (100 << 30, None, 48, 409_648),
        (1 << 20, Some("base.raw"), 56, 568),
        (1 << 20, Some("fat:"), 48, 560),
        (1 << 20, Some("fat:xx"), 56, 568),
    ] {
        let layout = CreateLayout::new(size, backing, false).unwrap();
        assert_eq!(
            layout.l1_table_offset.bytes(),
            l1_offset,
            "{size} {backing:?}"
        );
        assert_eq!(layout.file_length, length, "{size} {backing:?}");
    }
}

#[test]
fn a_name_that_is_only_a_protocol_is_not_stored() {
    let layout = CreateLayout::new(1 << 20, Some("fat:"), false).unwrap();
    assert_eq!(layout.head.len(), HEADER_SIZE);
    assert_eq!(layout.head[8..20], [0; 12]);
    assert_eq!(layout.head[32..34], [9, 12]);
}

#[test]
fn sizes_that_cannot_be_opened_are_not_made() {
    assert_eq!(CreateLayout::new(0, None, false), Err(CreateError::Empty));
    for size in [8 << 50, 7 << 60, 1 << 63, u64::MAX] {
        assert_eq!(
            CreateLayout::new(size, None, false),
            Err(CreateError::TooLarge)
        );
    }
    let name = "n".repeat(1024);
    assert_eq!(
        CreateLayout::new(512, Some(&name), false),
        Err(CreateError::BackingNameTooLong)
    );
    assert!(CreateLayout::new(512, Some(&name[1..]), false).is_ok());
}
