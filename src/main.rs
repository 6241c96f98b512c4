//! The one binary: which tool it is depends on the name it was called by.

use std::process::ExitCode;

mod dispatch;

fn main() -> ExitCode {
    dispatch::main(std::env::args_os())
}
