//! `cowproof img`, the drop-in for `qemu-img`: one file a subcommand.

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs `program`, the name it was called by (`qemu-img` or `cowproof img`), with what follows it.
pub fn main(program: &str, arguments: Vec<OsString>) -> ExitCode {
    let _ = arguments;
    eprintln!("{program}: not built yet");
    ExitCode::FAILURE
}
