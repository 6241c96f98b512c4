//! Opening the images that a subcommand was given.

use super::failure::Failure;
use super::session::image_argument;
use crate::base::Error;
use crate::graph::options::values::parse_switch;
use crate::graph::{CacheMode, Environment, ImageArgument, OpenFlags, open};
use crate::node::SharedNode;

/// Formats that can be written compressed.
pub const COMPRESSIBLE: &[&str] = &["qcow", "qcow2"];

/// What is said of all others.
pub fn uncompressible() -> Failure {
    Failure::words("Compression not supported for this file format")
}

/// An image as an operand and its options name it.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a> {
    /// The operand.
    pub name: &'a str,
    /// `-f` or its like.
    pub format: Option<&'a str>,
    /// `--image-opts`.
    pub image_opts: bool,
}

impl Operand<'_> {
    /// Opens it; an operand made of options is named in messages as it was given.
    pub fn open(self, flags: OpenFlags, environment: &Environment) -> Result<SharedNode, Failure> {
        if self.image_opts && self.format.is_some() {
            return Err(Failure::words(
                "--image-opts and --format are mutually exclusive",
            ));
        }
        let image = image_argument(self.name, self.format, self.image_opts, environment)?;
        if let ImageArgument::Options(tree) = &image
            && flags.force_share
            && tree.lookup("force-share").is_some_and(is_off)
        {
            return Err(Failure::words(
                "--force-share/-U conflicts with image options",
            ));
        }
        open(&image, flags, environment)
            .map_err(|error| match image {
                ImageArgument::Options(_) => {
                    error.prefixed(format!("Could not open '{}': ", self.name))
                }
                _ => error,
            })
            .map_err(Failure::from)
    }
}

fn is_off(value: &serde_json::Value) -> bool {
    value.as_bool() == Some(false)
        || value
            .as_str()
            .is_some_and(|text| matches!(parse_switch("force-share", text), Ok(false)))
}

/// The cache mode of a `-t`, or its words.
pub fn target_cache(name: &str) -> Result<CacheMode, Error> {
    super::session::cache_mode(name)
        .ok_or_else(|| Error::caller(format!("Invalid cache option: {name}")))
}

/// The cache mode of a `-T`, or its words.
pub fn source_cache(name: &str) -> Result<CacheMode, Error> {
    super::session::cache_mode(name)
        .ok_or_else(|| Error::caller(format!("Invalid source cache option: {name}")))
}

/// Worker threads of a job that is not told otherwise: one for each core, two at least so that reading and
/// writing overlap.
pub fn workers() -> usize {
    std::thread::available_parallelism()
        .map_or(2, std::num::NonZero::get)
        .clamp(2, 16)
}

/// Whether `name` means a file beside the one that names it.
fn is_relative(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('/') && !name.contains(':')
}

/// Refuses a name that is relative to an overlay which has no file name of its own.
pub fn check_beside(overlay: &SharedNode, name: &str) -> Result<(), Failure> {
    let of = overlay.filename();
    if is_relative(name) && of.starts_with("json:") {
        return Err(Failure::words(format!(
            "Could not resolve backing filename: Cannot use relative backing file names for '{of}'"
        )));
    }
    Ok(())
}

/// `name` as an overlay's header would mean it: relative to the directory of the overlay.
pub fn beside(overlay: &SharedNode, name: &str) -> String {
    let of = overlay.filename();
    if !is_relative(name) || of.starts_with("json:") {
        return name.to_owned();
    }
    match of.rfind('/') {
        Some(slash) => format!("{}{name}", &of[..=slash]),
        None => name.to_owned(),
    }
}

/// Two names of one existing file.
pub fn same_file(a: &str, b: &str) -> bool {
    match (std::fs::canonicalize(a), std::fs::canonicalize(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}
