//! Changing an image's options (qcow2 §14).

mod key_slots;

use super::image::Qcow2;
use crate::base::{Error, Result};
use crate::node::AmendRequest;

impl Qcow2 {
    /// Changes what the request names.
    pub(super) fn amend_image(&self, request: &AmendRequest<'_>) -> Result<()> {
        self.check_writable()?;
        let _own = self.ranges.own_all();
        if let Some(change) = &request.key_slots {
            self.amend_key_slots(request, change)?;
        }
        if request.compat.is_some() || request.size.is_some() || request.refcount_bits.is_some() {
            return Err(Error::unsupported(
                "Amending options of format 'qcow2' is not supported",
            ));
        }
        Ok(())
    }
}
