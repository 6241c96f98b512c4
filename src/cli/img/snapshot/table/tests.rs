use super::{clock, row};

#[test]
fn columns_are_as_wide_as_the_real_tools() {
    assert_eq!(
        row("ID", "TAG", "VM_SIZE", "DATE", "VM_CLOCK", "ICOUNT"),
        "ID      TAG               VM_SIZE                DATE        VM_CLOCK     ICOUNT\n"
    );
    assert_eq!(
        row(
            "12345678",
            "exactly16charsxx",
            "11.5 GiB",
            "2023-11-14 22:13:20",
            "0000:00:01.000",
            "--"
        ),
        "12345678 exactly16charsxx 11.5 GiB 2023-11-14 22:13:20  0000:00:01.000         --\n"
    );
}

#[test]
fn a_long_count_keeps_its_distance() {
    let line = row(
        "1",
        "s",
        "0 B",
        "2023-11-14 22:13:20",
        "0000:00:00.000",
        "4362412330883760706",
    );
    assert!(
        line.ends_with("0000:00:00.000 4362412330883760706\n"),
        "{line}"
    );
}

#[test]
fn clock_has_hours_without_an_end() {
    assert_eq!(
        clock(3_600_000_000_000 * 12345 + 1_500_000_000),
        "12345:00:01.500"
    );
}
