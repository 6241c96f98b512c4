use super::*;

const CHOICES: &[Choice] = &[
    Choice::flag('h', "help"),
    Choice::value('f', "format"),
    Choice::long_value("output"),
    Choice::long_value("object"),
    Choice::long_flag("image-opts"),
    Choice::flag('U', "force-share"),
    Choice::short_value('x', "hidden"),
];

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// Options as `key=value`, then the operands; or getopt's words.
fn read(mut arguments: Arguments<'_>) -> Result<(Vec<String>, Vec<String>), String> {
    let mut given = Vec::new();
    while let Some(option) = arguments.advance()? {
        given.push(format!("{}={}", option.key, option.value));
    }
    Ok((given, arguments.into_operands()))
}

fn permuted(line: &str) -> Result<(Vec<String>, Vec<String>), String> {
    read(Arguments::permuted(CHOICES, words(line)))
}

#[test]
fn options_and_operands_mix() {
    let (given, operands) = permuted("a -f raw - --output=json b --object x").unwrap();
    assert_eq!(given, ["format=raw", "output=json", "object=x"]);
    assert_eq!(operands, ["a", "-", "b"]);
}

#[test]
fn clusters_end_in_a_value() {
    let (given, _) = permuted("-Ufraw -hf -- x").unwrap();
    assert_eq!(given, ["force-share=", "format=raw", "help=", "format=--"]);
}

#[test]
fn two_dashes_end_the_options() {
    let (given, operands) = permuted("-U -- -f --help").unwrap();
    assert_eq!(given, ["force-share="]);
    assert_eq!(operands, ["-f", "--help"]);
}

#[test]
fn first_operand_ends_the_options_before_a_subcommand() {
    let arguments = Arguments::operands_last(CHOICES, words("-U map -f raw"));
    let (given, operands) = read(arguments).unwrap();
    assert_eq!(given, ["force-share="]);
    assert_eq!(operands, ["map", "-f", "raw"]);
}

#[test]
fn abbreviations_must_be_unique() {
    assert_eq!(permuted("--form raw").unwrap().0, ["format=raw"]);
    assert_eq!(
        permuted("--o x").unwrap_err(),
        "option '--o' is ambiguous; possibilities: '--output' '--object'"
    );
    assert_eq!(
        permuted("--fo=x").unwrap_err(),
        "option '--fo=x' is ambiguous; possibilities: '--format' '--force-share'"
    );
}

#[test]
fn refusals_speak_getopts_words() {
    for (line, words) in [
        ("-z", "invalid option -- 'z'"),
        ("-Uzf", "invalid option -- 'z'"),
        ("-f", "option requires an argument -- 'f'"),
        ("--format", "option '--format' requires an argument"),
        (
            "--for",
            "option '--for' is ambiguous; possibilities: '--format' '--force-share'",
        ),
        ("--outp", "option '--output' requires an argument"),
        ("--im=3", "option '--image-opts' doesn't allow an argument"),
        ("--zork=3", "unrecognized option '--zork=3'"),
        ("--hidden", "unrecognized option '--hidden'"),
    ] {
        assert_eq!(permuted(line).unwrap_err(), words, "{line}");
    }
}

#[test]
fn a_promised_name_works_whole_and_leaves_abbreviations_alone() {
    let choices = [
        Choice::flag('p', "parallel"),
        Choice::long_flag("progress").promised(),
    ];
    let first = |word: &str| Arguments::permuted(&choices, vec![word.to_owned()]).advance();
    assert_eq!(first("--progress").unwrap().unwrap().key, "progress");
    assert_eq!(first("--p").unwrap().unwrap().key, "parallel");
    assert_eq!(first("--prog").unwrap_err(), "unrecognized option '--prog'");
}
