//! `cowproof io`, the drop-in for `qemu-io`.

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs `program`, the name it was called by (`qemu-io` or `cowproof io`), with what follows it.
pub fn main(program: &str, arguments: Vec<OsString>) -> ExitCode {
    let _ = arguments;
    eprintln!("{program}: not built yet");
    ExitCode::FAILURE
}
