use super::*;

// Every row below was observed with `qemu-img create -f raw` 10.0.2.
#[test]
fn sizes_parse_as_the_real_tools_parse_them() {
    let good: &[(&str, u64)] = &[
        ("64M", 64 << 20),
        ("1.5G", 1_610_612_736),
        ("1k", 1024),
        ("1K", 1024),
        ("0x200", 512),
        ("0X10", 16),
        ("0x1b", 27),
        ("0x1e", 30),
        ("512", 512),
        ("1b", 1),
        ("1.0b", 1),
        ("1.0", 1),
        ("0.5k", 512),
        ("1.3k", 1331),
        ("1.0001k", 1024),
        ("0.999k", 1023),
        ("0.9995k", 1023),
        ("0.9999k", 1024),
        ("1.00048828125k", 1025),
        ("1.00048828124k", 1024),
        ("0.00049k", 1),
        ("0.0004k", 0),
        ("3.7M", 3_879_731),
        ("1.1T", 1_209_462_790_554),
        ("1.23456789T", 1_357_421_750_334),
        (".5k", 512),
        ("5.k", 5120),
        ("0.k", 0),
        (" 1", 1),
        ("+1k", 1024),
        (" .5k", 512),
        ("010", 10),
        ("1E", 1 << 60),
        ("7.9E", 9_108_079_886_394_091_136),
        ("0.99999999999999999999k", 1024),
    ];
    for (text, bytes) in good {
        assert_eq!(parse(text), Ok(*bytes), "{text}");
    }
    let malformed = [
        "",
        " ",
        "1.5",
        "0.1",
        "1e3",
        "-1k",
        "-1x",
        "-0x1",
        "-",
        "+",
        "+ 1",
        "-+1",
        ".",
        ".k",
        "1kk",
        "1x",
        "1 ",
        "1.5.k",
        "1,5k",
        "0x",
        "0xg",
        "0x200k",
        "0x1.8k",
        "0x1.0",
        "0x1p3",
        "00x10",
        "0b11",
        "nan",
        "inf",
        "1KiB",
        "1ki",
        "0.5b",
        "99999999999999999999k",
        "20000000000000000000.5",
        "0x99999999999999999999k",
    ];
    for text in malformed {
        assert_eq!(parse(text), Err(SizeError::Malformed), "{text}");
    }
    let out_of_range = [
        "-1",
        "-0",
        "-99999999999999999999",
        "16E",
        "16384P",
        "99999999999999999999",
        "18446744073709551616",
        "0x99999999999999999999",
    ];
    for text in out_of_range {
        assert_eq!(parse(text), Err(SizeError::OutOfRange), "{text}");
    }
}

#[test]
fn arguments_fail_with_the_words_of_their_tool() {
    let words = |result: crate::base::Result<u64>| result.unwrap_err().to_string();
    assert_eq!(
        words(parse_argument("image size", "1e3")),
        "Invalid image size specified: '1e3'."
    );
    assert_eq!(
        words(parse_argument("image size", "8E")),
        "Invalid image size specified. Must be between 0 and 9223372036854775807."
    );
    assert_eq!(
        words(parse_argument_within("bs", "0", 1, 2_147_483_647)),
        "Invalid bs specified. Must be between 1 and 2147483647."
    );
    assert_eq!(
        words(parse_option("size", "-1")),
        "Value '-1' is out of range for parameter 'size'"
    );
    let malformed = parse_option("size", "xx").unwrap_err();
    assert_eq!(
        malformed.to_string(),
        "Parameter 'size' expects a non-negative number below 2^64"
    );
    assert_eq!(malformed.hints().len(), 2);
    assert_eq!(
        words(parse_io_argument("9E")),
        "Parsing error: argument too large -- 9E"
    );
    assert_eq!(
        words(parse_io_argument("1.5")),
        "Parsing error: non-numeric argument, or extraneous/unrecognized suffix -- 1.5"
    );
}

// Observed with `qemu-img info`.
#[test]
fn sizes_print_as_the_real_tools_print_them() {
    let rows: &[(u64, &str)] = &[
        (0, "0 B"),
        (512, "512 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (10240, "10 KiB"),
        (100_352, "98 KiB"),
        (200_704, "196 KiB"),
        (1_000_448, "977 KiB"),
        (1_022_976, "999 KiB"),
        (1_023_488, "1e+03 KiB"),
        (1_047_552, "0.999 MiB"),
        (1_048_064, "1 MiB"),
        (1_500_160, "1.43 MiB"),
        (10_433_536, "9.95 MiB"),
        (10_485_248, "10 MiB"),
        (104_857_088, "100 MiB"),
        (1_072_693_248, "0.999 GiB"),
        (1_073_741_312, "1 GiB"),
        (1_610_612_736, "1.5 GiB"),
        (5_000_000_000, "4.66 GiB"),
        (1_099_511_627_264, "1 TiB"),
    ];
    for (bytes, text) in rows {
        assert_eq!(human(*bytes), *text, "{bytes}");
    }
}
