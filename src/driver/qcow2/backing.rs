//! The backing file's name in the header.

use super::image::Qcow2;
use crate::base::error::errno;
use crate::base::limits::MAX_BACKING_NAME_BYTES;
use crate::base::{Error, Result};
use crate::format::qcow2::extension::BACKING_FORMAT_LIMIT;
use crate::node::BackingReference;

impl Qcow2 {
    /// Rewrites the header with another backing file, or with none. A failure leaves the image as it was.
    pub(super) fn change_backing(&self, reference: Option<&BackingReference>) -> Result<()> {
        self.check_writable()?;
        let mut metadata = self.metadata()?;
        let name = reference.map(|reference| reference.name.as_bytes().to_vec());
        let format = reference
            .and_then(|reference| reference.format.as_ref())
            .map(|format| format.as_bytes().to_vec());
        let too_long = |name: &Option<Vec<u8>>, limit: usize| {
            name.as_ref().is_some_and(|name| name.len() >= limit)
        };
        if too_long(&name, MAX_BACKING_NAME_BYTES as usize + 1)
            || too_long(&format, BACKING_FORMAT_LIMIT)
        {
            return Err(Error::bare(errno::EINVAL));
        }
        let old_name = std::mem::replace(&mut metadata.backing_name, name);
        let old_format = std::mem::replace(&mut metadata.extensions.backing_format, format);
        let old_empty = std::mem::replace(&mut metadata.empty_backing_name, false);
        let written = metadata.rewrite_header();
        if written.is_err() {
            metadata.backing_name = old_name;
            metadata.empty_backing_name = old_empty;
            metadata.extensions.backing_format = old_format;
        }
        written
    }
}

#[cfg(test)]
mod tests;
