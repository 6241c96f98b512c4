//! The one binary: which tool it is depends on the name it was called by.

use std::process::ExitCode;

fn main() -> ExitCode {
    cowproof::cli::main(std::env::args_os())
}
