//! Creating an image: from `create -f FMT -o …` to a file.

use super::{Environment, OptionTree};
use crate::base::{Error, Result};

/// An image to create.
#[derive(Clone, Debug)]
pub struct CreateRequest {
    /// `-f`.
    pub format: String,
    /// The file name.
    pub filename: String,
    /// `-o`, with `size`, `backing_file`, `backing_fmt` merged in.
    pub options: OptionTree,
    /// `-u`: don't look at the backing file.
    pub unsafe_backing: bool,
}

/// Creates the image; a failure leaves no half-made file behind. Returns the options as completed by defaults,
/// in the order in which `Formatting '…'` prints them.
pub fn create(request: &CreateRequest, environment: &Environment) -> Result<OptionTree> {
    let _ = (request, environment);
    Err(Error::unsupported("graph::create is not built yet"))
}
