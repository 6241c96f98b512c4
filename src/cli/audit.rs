//! `cowproof audit`: what protects an image, and what does not.

pub mod html;
mod json;
mod page;
mod run;
mod text;
mod walk;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::audit::Severity;

/// The images could not be audited, or not all of them.
const EXIT_NOT_AUDITED: u8 = 2;
/// Something was found.
const EXIT_FOUND: u8 = 1;

/// What `cowproof audit` takes.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Images are only read, without locks; passwords are never asked for. Exit codes: 0 nothing \
    found at or above --fail-on; 1 found; 2 an image could not be audited."
)]
pub struct AuditArguments {
    /// Images, or directories to look for images in
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,
    /// An older copy of the (one) image: what was overwritten or moved since
    #[arg(long, value_name = "OLDER_COPY")]
    against: Option<PathBuf>,
    /// Where the data of the (one) image is, when it is in an external data file or behind a detached LUKS header
    #[arg(long, value_name = "FILE", conflicts_with = "against")]
    data_file: Option<PathBuf>,
    /// The form of the report on standard output
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    /// Write a self-contained page with a picture
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// The exit code is 1 from this severity on
    #[arg(long, value_enum, default_value_t = Level::Medium, value_name = "LEVEL")]
    fail_on: Level,
    /// Key slots that are known to be in use
    #[arg(long, value_name = "N", default_value_t = 1)]
    expected_slots: usize,
    /// Read all data for the proofs, not a sample
    #[arg(long)]
    full: bool,
    /// Files at a time
    #[arg(short, long, value_name = "N", default_value_t = 2)]
    jobs: usize,
}

/// `--output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// For people
    #[default]
    Text,
    /// One JSON object a line and image
    Json,
}

/// `--fail-on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Level {
    Info,
    Low,
    Medium,
    High,
}

impl From<Level> for Severity {
    fn from(level: Level) -> Self {
        match level {
            Level::Info => Self::Info,
            Level::Low => Self::Low,
            Level::Medium => Self::Medium,
            Level::High => Self::High,
        }
    }
}

/// `cowproof audit`.
pub fn main(arguments: &AuditArguments) -> ExitCode {
    match run::run(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("cowproof audit: {error}");
            ExitCode::from(EXIT_NOT_AUDITED)
        }
    }
}
