//! Words and order are compared with the real tool in `driver::luks::node::tests`; here is what needs no tool.

use super::*;

fn good() -> Header {
    let suite = CipherSuite {
        iv_hash: Some(HashAlgorithm::Sha1),
        ..CipherSuite::default()
    };
    let mut header = Header::new(
        suite,
        HashAlgorithm::Sha256,
        Geometry::new(64).payload_sector(),
    );
    header.digest_iterations = 1000;
    header.slots[0].state = SlotState::Enabled;
    header.slots[0].iterations = 1000;
    header
}

fn patched(offset: usize, bytes: &[u8]) -> Result<Header, LuksError> {
    let mut image = good().encode();
    image[offset..offset + bytes.len()].copy_from_slice(bytes);
    Header::parse(&image, false)
}

#[test]
fn what_is_written_is_read() {
    let header = good();
    let bytes = header.encode();
    assert_eq!(bytes.len(), HEADER_BYTES);
    assert_eq!(HEADER_BYTES, 592);
    assert!(probe(&bytes));
    assert_eq!(Header::parse(&bytes, false).unwrap(), header);
    // luks1 §3, the row of 64-byte keys.
    assert_eq!(header.payload_offset(), 2_068_480);
    assert_eq!(header.slots[1].material_sector, 512);
    assert_eq!(header.slots[1].material_offset(), 512 * 512);
}

#[test]
fn sizes_are_the_tables() {
    for (key_bytes, area, second, payload) in [
        (16, 128, 136, 1032),
        (32, 256, 264, 2056),
        (48, 376, 384, 3016),
        (64, 504, 512, 4040),
    ] {
        let geometry = Geometry::new(key_bytes);
        assert_eq!(geometry.area_sectors(), area);
        assert_eq!(geometry.slot_sector(0), 8);
        assert_eq!(geometry.slot_sector(1), second);
        assert_eq!(geometry.payload_sector(), payload);
    }
}

/// What a rewrite must not lose: the hash of a generator that uses none, and bytes behind a name's end.
#[test]
fn what_is_not_understood_is_kept() {
    let header = patched(20, b"behind the name").unwrap();
    let bytes = header.encode();
    assert_eq!(bytes[20..35], *b"behind the name");
    assert_eq!(bytes[40..57], *b"xts-plain64:sha1\0");
}

/// ours: the real tools add in 32 bits, and let both of these through.
#[test]
fn areas_past_two_tebibytes_do_not_wrap() {
    for sector in [u32::MAX, 0xffff_ff00] {
        let error = patched(208 + 48 * 7 + 40, &sector.to_be_bytes()).unwrap_err();
        assert_eq!(error, LuksError::SlotOverlapsPayload(7));
    }
}

#[test]
fn detached_headers_say_nothing_about_the_payload() {
    let mut image = good().encode();
    image[104..108].fill(0);
    assert_eq!(
        Header::parse(&image, false).unwrap_err(),
        LuksError::PayloadOverlapsHeader
    );
    assert_eq!(Header::parse(&image, true).unwrap().payload_offset(), 0);
}

#[test]
fn no_cut_and_no_changed_byte_panics() {
    let image = good().encode();
    for length in 0..image.len() {
        // Bytes that are missing are zeros: most cuts leave a slot without stripes.
        assert!(Header::parse(&image[..length], false).is_err(), "{length}");
    }
    for position in 0..image.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut image = image.clone();
            image[position] = value;
            if let Ok(header) = Header::parse(&image, false) {
                assert_eq!(header.encode(), image);
            }
        }
    }
}

#[test]
fn keys_that_only_stand_in_the_way_of_unlocking() {
    let mut image = good().encode();
    image[40..44].copy_from_slice(b"cbc-");
    image[108..112].copy_from_slice(&24_u32.to_be_bytes());
    let header = Header::parse(&image, false).unwrap();
    assert_eq!(
        header.check_unlockable().unwrap_err(),
        LuksError::UnalignedKeyMaterial { key_bytes: 24 }
    );
    let odd = patched(108, &33_u32.to_be_bytes()).unwrap();
    assert_eq!(odd.check_unlockable().unwrap_err(), LuksError::OddXtsKey);
    assert_eq!(
        patched(108, &48_u32.to_be_bytes())
            .unwrap()
            .check_unlockable(),
        Ok(())
    );
}

#[test]
fn version_two_does_not_probe() {
    assert!(!probe(b"LUKS\xba\xbe\x00\x02"));
    assert!(!probe(b"LUKS\xba\xbe\x00"));
    assert!(!probe(b""));
}
