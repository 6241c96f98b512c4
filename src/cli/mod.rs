//! Floor 7: the talking parts.

use std::ffi::OsString;
use std::process::ExitCode;

pub mod img;
pub mod io;

/// Runs the tool that `arguments[0]` names (`qemu-img`, `qemu-io`, or `cowproof` with a subcommand).
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let _ = arguments;
    eprintln!("cowproof: not built yet");
    ExitCode::FAILURE
}
