//! `cowproof run`: the conformance suite on one or more subjects.

use std::process::ExitCode;

/// What `cowproof run` takes.
#[derive(clap::Args)]
pub struct RunArguments {}

/// `cowproof run`.
pub fn main(arguments: &RunArguments) -> ExitCode {
    let _ = arguments;
    eprintln!("cowproof run: not built yet");
    ExitCode::FAILURE
}
