//! `qemu-img create`.

use super::arguments::Choice;
use super::failure::{Failure, Outcome};
use super::format_options::FormatOptions;
use super::option_help;
use super::session::Session;
use crate::base::size::parse_argument;
use crate::cli::output;
use crate::graph::options::parse_options;
use crate::graph::{CreateRequest, create};

const CHOICES: &[Choice] = &[
    Choice::flag('h', "help"),
    Choice::flag('q', "quiet"),
    Choice::long_value("object"),
    Choice::value('f', "format"),
    Choice::value('b', "backing"),
    Choice::value('F', "backing-format"),
    Choice::flag('u', "backing-unsafe"),
    Choice::value('o', "options"),
];

/// What the drop-in has not, and `cowproof img` has: the real tool does not know these.
const OWN_CHOICES: &[Choice] = &[
    Choice::long_value("detached-header"),
    Choice::long_flag("encrypted-zeros"),
];

/// Runs `qemu-img create`.
pub fn run(session: &mut Session, arguments: Vec<String>) -> Outcome {
    let mut request = CreateRequest {
        format: "raw".to_owned(),
        ..CreateRequest::default()
    };
    let mut options = FormatOptions::default();
    let mut choices = CHOICES.to_vec();
    if session.is_own_tool() {
        choices.extend(OWN_CHOICES);
    }
    let mut given = session.arguments(&choices, arguments);
    while let Some(option) = session.next_option(&mut given)? {
        match option.key {
            "format" => request.format = option.value,
            "backing" => request.backing_file = Some(option.value),
            "backing-format" => request.backing_format = Some(option.value),
            "backing-unsafe" => request.unsafe_backing = true,
            "detached-header" => request.detached_header = Some(option.value),
            "encrypted-zeros" => request.encrypted_zeros = true,
            _ => options.add(&option.value)?,
        }
    }
    let operands = given.into_operands();
    // Short forms are not warned about here, unlike everywhere else.
    let parsed = parse_options(options.text(), None);
    if parsed.help {
        let filename = operands.first().map(String::as_str);
        option_help::create(session, &request.format, filename)?;
        return Ok(0);
    }
    request.options = parsed.tree;
    let mut operands = operands.into_iter();
    request.filename = operands
        .next()
        .ok_or_else(|| Failure::Usage("Expecting image file name".to_owned()))?;
    if let Some(size) = operands.next() {
        request.size = Some(parse_argument("image size", &size)?);
    }
    if let Some(extra) = operands.next() {
        return Err(Failure::Usage(format!("Unexpected argument: {extra}")));
    }
    let environment = session.environment();
    let filename = request.filename.clone();
    let named = |error: crate::base::Error| Failure::from(error.prefixed(format!("{filename}: ")));
    let prepared = create::prepare(&request, &environment).map_err(named)?;
    session.print_unless_quiet(&format!("{}\n", prepared.formatting_line()));
    // Seen before whatever goes wrong from here on.
    output::print_now("");
    prepared
        .create(&environment)
        .map_err(|error| named(prepared.explained(error)))?;
    Ok(0)
}
