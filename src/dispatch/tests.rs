use super::*;

use clap::CommandFactory;

#[test]
fn the_command_line_is_well_formed() {
    CommandLine::command().debug_assert();
}

#[test]
fn a_links_directory_does_not_matter() {
    assert_eq!(base_name(&OsString::from("/some/dir/qemu-img")), "qemu-img");
    assert_eq!(base_name(&OsString::from("qemu-io")), "qemu-io");
}

#[test]
fn tool_options_are_handed_over_untouched() {
    let line =
        CommandLine::parse_from(["cowproof", "img", "info", "--output=json", "-U", "--help"]);
    let Command::Img(tool) = line.command else {
        panic!("not img");
    };
    assert_eq!(tool.arguments, ["info", "--output=json", "-U", "--help"]);
}
