//! Creating an image: from `create -f FMT -o …` to a file.

mod build;
mod encrypted_zeros;
pub(in crate::graph) mod prepare;
pub mod tables;

pub use build::take_luks;

use super::options::values::text_of;
use super::{Environment, OptionTree};
use crate::base::{Error, Result};

/// An image to create.
#[derive(Clone, Debug, Default)]
pub struct CreateRequest {
    /// `-f`.
    pub format: String,
    /// The file name.
    pub filename: String,
    /// `-o`.
    pub options: OptionTree,
    /// The size when it comes as an argument of its own.
    pub size: Option<u64>,
    /// `-b`: wins over `-o backing_file`.
    pub backing_file: Option<String>,
    /// `-F`: wins over `-o backing_fmt`.
    pub backing_format: Option<String>,
    /// `-u`: don't look at the backing file.
    pub unsafe_backing: bool,
    /// LUKS only: the header goes into this file, the payload alone into the other one.
    pub detached_header: Option<String>,
    /// What is preallocated reads as zeros, which takes writing all of it. Otherwise, as with the real tool, it holds
    /// zeros and reads as garbage.
    pub encrypted_zeros: bool,
}

/// An image that is about to be created: everything that can be known beforehand has been checked.
#[derive(Clone, Debug)]
pub struct Prepared {
    format: String,
    filename: String,
    /// Where the file is, without a protocol in front.
    path: String,
    options: OptionTree,
    /// Where the header's own file is.
    header_path: Option<String>,
    encrypted_zeros: bool,
}

impl Prepared {
    /// `Formatting 'x', fmt=raw size=1048576`: what `create` prints before it starts.
    pub fn formatting_line(&self) -> String {
        let mut line = format!("Formatting '{}', fmt={}", self.filename, self.format);
        for (name, value) in self.options.iter() {
            let value = prepare::shown(name, &text_of(value).unwrap_or_default());
            let value = value.replace(',', ",,");
            for piece in [" ", name, "=", &value] {
                line.push_str(piece);
            }
        }
        line
    }

    /// The options as completed by defaults, in the order in which they are shown.
    pub const fn options(&self) -> &OptionTree {
        &self.options
    }

    /// Creates the image; a failure leaves no half-made file behind.
    pub fn create(&self, environment: &Environment) -> Result<()> {
        build::build(self, environment)
    }

    /// The words of `create` for a failure: those who make an image on the way to something else show the reason.
    pub fn explained(&self, error: Error) -> Error {
        build::explain_size(error, &self.format)
    }
}

/// What is said about a format that can't be created.
pub fn unknown_format(format: &str) -> Error {
    prepare::unknown_format(format)
}

/// True for formats that the real tools know, and can't create either.
pub fn never_created(format: &str) -> bool {
    prepare::never_created(format)
}

/// Checks and completes `request`; nothing is written yet.
pub fn prepare(request: &CreateRequest, environment: &Environment) -> Result<Prepared> {
    prepare::prepare(request, environment)
}

/// Creates the image; a failure leaves no half-made file behind. Returns the options as completed by defaults,
/// in the order in which `Formatting '…'` prints them.
pub fn create(request: &CreateRequest, environment: &Environment) -> Result<OptionTree> {
    let prepared = prepare(request, environment)?;
    prepared.create(environment)?;
    Ok(prepared.options)
}

#[cfg(test)]
mod tests;
