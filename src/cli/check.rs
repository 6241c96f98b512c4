//! `cowproof check`: a check that says more than the drop-in's.

use std::path::PathBuf;
use std::process::ExitCode;

use super::explain;

/// The image could not be read.
const EXIT_FAILED: u8 = 1;

/// What `cowproof check` takes.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "The image is only read, without locks. Exit codes as those of a check: 0 nothing wrong; 1 it could \
    not be read; 2 corruptions; 3 leaked clusters only."
)]
pub struct CheckArguments {
    /// The image, qcow2
    #[arg(value_name = "IMAGE")]
    image: PathBuf,
    /// Say which clusters are concerned, what owns them, which guest ranges and snapshots depend on them, and what a
    /// repair would do
    #[arg(long, required = true)]
    explain: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// `cowproof check`.
pub fn main(arguments: &CheckArguments) -> ExitCode {
    let name = arguments.image.to_string_lossy();
    match explain::tell(&name, arguments.json) {
        Ok(told) => {
            print!("{}", told.text);
            ExitCode::from(told.code)
        }
        Err(error) => {
            eprintln!("cowproof check: {error}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}
