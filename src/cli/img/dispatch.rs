//! From the command line to a subcommand.

use std::ffi::OsString;
use std::process::ExitCode;

use super::arguments::{Arguments, Choice};
use super::failure::{Failure, Outcome};
use super::session::Session;
use super::{
    amend, bench, bitmap, check, commit, compare, convert, create, dd, help, info, map, measure,
    rebase, resize, snapshot,
};
use crate::cli::trace::{self, Trouble};
use crate::cli::{output, signals};

const CHOICES: &[Choice] = &[
    Choice::flag('h', "help"),
    Choice::flag('V', "version"),
    Choice::value('T', "trace"),
];

/// Runs `program` (`argv[0]` as it was given, or `cowproof img`) with what follows it.
pub fn main(program: &str, arguments: Vec<OsString>) -> ExitCode {
    signals::hold();
    let mut session = Session::new(program);
    let outcome = utf8(arguments).and_then(|arguments| run(&mut session, arguments));
    ExitCode::from(session.finish(outcome))
}

/// Option values and file names are text everywhere below.
fn utf8(arguments: Vec<OsString>) -> Result<Vec<String>, Failure> {
    arguments
        .into_iter()
        .map(OsString::into_string)
        .collect::<Result<_, _>>()
        .map_err(|bad| {
            let shown = bad.display();
            Failure::words(format!("Argument '{shown}' is not valid UTF-8"))
        })
}

fn run(session: &mut Session, arguments: Vec<String>) -> Outcome {
    let mut given = Arguments::operands_last(CHOICES, arguments);
    while let Some(option) = given.advance().map_err(Failure::Grammar)? {
        match option.key {
            "help" => {
                session.print(&help::general());
                return Ok(0);
            }
            "version" => {
                session.print(&help::version());
                return Ok(0);
            }
            _ => trace(session, &option.value)?,
        }
    }
    let mut operands = given.into_operands();
    if operands.is_empty() {
        return Err(Failure::Usage("Not enough arguments".to_owned()));
    }
    let command = operands.remove(0);
    subcommand(session, &command, operands)
}

fn trace(session: &Session, text: &str) -> Result<(), Failure> {
    match trace::look_at(session.program(), text) {
        Ok(warnings) => {
            for warning in warnings {
                session.say(&warning);
            }
            Ok(())
        }
        Err(Trouble::Said(line)) => {
            output::complain(format_args!("{line}\n"));
            Err(Failure::Said(1))
        }
        Err(Trouble::Error(error)) => Err(error.into()),
    }
}

fn subcommand(session: &mut Session, command: &str, arguments: Vec<String>) -> Outcome {
    let run = match command {
        "amend" => amend::run,
        "bench" => bench::run,
        "bitmap" => bitmap::run,
        "check" => check::run,
        "commit" => commit::run,
        "compare" => compare::run,
        "convert" => convert::run,
        "create" => create::run,
        "dd" => dd::run,
        "info" => info::run,
        "map" => map::run,
        "measure" => measure::run,
        "rebase" => rebase::run,
        "resize" => resize::run,
        "snapshot" => snapshot::run,
        _ => return Err(Failure::Usage(format!("Command not found: {command}"))),
    };
    session.enter(command);
    run(session, arguments)
}

#[cfg(test)]
mod tests;
