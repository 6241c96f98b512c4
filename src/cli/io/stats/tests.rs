use super::*;

#[test]
fn sizes_are_the_real_tools() {
    // `length` of raw files of these sizes, rates of real runs.
    for (bytes, text) in [
        (0, "0 bytes"),
        (512, "512 bytes"),
        (1536, "1.500 KiB"),
        (1_234_944, "1.178 MiB"),
        (5_000_000_000, "4.657 GiB"),
        (8_000_000_000_000, "7.276 TiB"),
        (1 << 50, "1 PiB"),
    ] {
        assert_eq!(human_bytes(bytes), text);
    }
    assert_eq!(human(841.232_742), "841.232742 bytes");
}

#[test]
fn a_report_in_both_forms() {
    let mut report = Report {
        verb: "wrote",
        offset: 5,
        count: 65_536,
        time: Duration::from_millis(12),
        machine: false,
    };
    assert_eq!(
        report.text(),
        "wrote 65536/65536 bytes at offset 5\n64 KiB, 1 ops; 00.01 sec (5.208 MiB/sec and 83.3333 ops/sec)\n"
    );
    report.machine = true;
    assert_eq!(report.text(), "65536,1,0:00:00.01,5461333.333,83.333\n");
    report.machine = false;
    report.time = Duration::from_secs(3725);
    assert!(
        report
            .text()
            .contains("ops; 1:02:05.00 (17.593557 bytes/sec")
    );
}

#[test]
fn a_dump_shows_letters_and_digits_only() {
    assert_eq!(
        dump(0x00ff_fff0, b"aZ09 ~_\x7f\xff12345678"),
        "00fffff0:  61 5a 30 39 20 7e 5f 7f ff 31 32 33 34 35 36 37  aZ09.....1234567\n01000000:  38  8\n"
    );
}
