//! `cowproof iv`: which sector made each IV of an image whose plaintext is known. What the group `iv` of the suite
//! judges every implementation's images with.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::audit::iv::{IvOptions, judge};
use crate::base::Result;
use crate::cli::output;
use crate::crypto::secret::SecretStore;
use crate::graph::add_object;

/// Something is wrong with the image.
const EXIT_FAULTY: u8 = 1;
/// The image could not be judged.
const EXIT_NOT_JUDGED: u8 = 2;

/// What `cowproof iv` takes.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "The image must have been written with one byte over and over (qemu-io's write -P), no part of a \
    sector's first 16 bytes alone. Exit codes: 0 all IVs come from where they must; 1 some do not, or plaintext \
    shows; 2 the image could not be judged."
)]
pub struct IvArguments {
    /// A qcow, qcow2 or LUKS image
    #[arg(value_name = "IMAGE")]
    image: PathBuf,
    /// The password, as qemu-img takes it: secret,id=ID,data=… or file=…
    #[arg(long, value_name = "OBJECT", required = true)]
    object: Vec<String>,
    /// Which of the objects
    #[arg(long, value_name = "ID")]
    key_secret: String,
    /// The data file of a qcow2 image that has one
    #[arg(long, value_name = "FILE")]
    data_file: Option<PathBuf>,
    /// The payload of a LUKS header in a file of its own
    #[arg(long, value_name = "FILE")]
    payload: Option<PathBuf>,
}

/// `cowproof iv`.
pub fn main(arguments: &IvArguments) -> ExitCode {
    match run(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("cowproof iv: {}: {error}", arguments.image.display());
            ExitCode::from(EXIT_NOT_JUDGED)
        }
    }
}

fn run(arguments: &IvArguments) -> Result<u8> {
    let mut secrets = SecretStore::default();
    let mut groups = HashMap::new();
    for object in &arguments.object {
        add_object(object, &mut secrets, &mut groups)?;
    }
    let key = secrets.passphrase(&arguments.key_secret)?;
    let report = judge(
        &arguments.image,
        &IvOptions {
            key: Some(&key),
            data_file: arguments.data_file.as_deref(),
            payload: arguments.payload.as_deref(),
        },
    )?;
    let faults = report.faults();
    let mut text = report.to_string();
    for fault in &faults {
        text.push_str("FAULT ");
        text.push_str(fault);
        text.push('\n');
    }
    if faults.is_empty() {
        text.push_str("all as it must be, no plaintext elsewhere in the file\n");
    }
    output::print_now(&text);
    Ok(if faults.is_empty() { 0 } else { EXIT_FAULTY })
}
