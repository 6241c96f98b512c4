use super::*;

#[test]
fn a_changed_line_is_shown_between_its_neighbours() {
    let text = unified(
        "a\nb\nc\n",
        "a\nx\nc\n",
        "golden",
        "mine",
        Palette::default(),
    );
    assert_eq!(
        text,
        "--- golden\n+++ mine\n@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n"
    );
}

#[test]
fn equal_texts_have_no_diff() {
    assert_eq!(
        unified("a\n", "a\n", "golden", "mine", Palette::default()),
        ""
    );
}

#[test]
fn a_missing_newline_is_said() {
    let text = unified("a\n", "a", "golden", "mine", Palette::default());
    assert!(
        text.ends_with("-a\n+a\n\\ No newline at end of file\n"),
        "{text}"
    );
}

#[test]
fn colours_only_when_asked_and_no_escape_of_the_subjects() {
    let text = unified(
        "",
        "\u{1b}[31mred\r\n",
        "golden",
        "mine",
        Palette::default(),
    );
    assert!(
        !text.contains('\u{1b}') && text.contains("\u{241b}[31mred\u{240d}"),
        "{text}"
    );
    let text = unified("", "b\n", "golden", "mine", Palette { colored: true });
    assert!(text.contains("\u{1b}[32m+b\u{1b}[0m"), "{text:?}");
}
