//! `qemu-img create`.

use super::arguments::Choice;
use super::failure::{Failure, Outcome};
use super::session::Session;

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

/// Runs `qemu-img create`.
pub fn run(session: &mut Session, arguments: Vec<String>) -> Outcome {
    let mut given = session.arguments(CHOICES, arguments);
    while let Some(_option) = session.next_option(&mut given)? {}
    Err(Failure::words("create is not built yet"))
}
