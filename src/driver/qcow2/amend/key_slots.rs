//! Key slots of the LUKS header inside an image (luks1 §8).

use crate::base::limits::LUKS_MAX_ITERATIONS;
use crate::base::{Error, Result};
use crate::driver::luks::{AmendContext, HeaderAccess, KeySlotOptions, amend_volume};
use crate::driver::qcow2::image::Qcow2;
use crate::driver::qcow2::open::reader;
use crate::format::qcow2::header::CryptMethod;
use crate::node::{AmendRequest, KeySlotChange};

impl Qcow2 {
    /// Adds or erases key slots.
    pub(super) fn amend_key_slots(
        &self,
        request: &AmendRequest<'_>,
        change: &KeySlotChange,
    ) -> Result<()> {
        let metadata = self.metadata()?;
        let (CryptMethod::Luks, Some(place)) =
            (metadata.header.crypt_method, metadata.extensions.crypto)
        else {
            return Err(Error::caller("Only LUKS encryption options can be amended"));
        };
        let options = KeySlotOptions::from_change(change, request.force)?;
        let key = self
            .key
            .as_ref()
            .ok_or_else(|| Error::key("Parameter 'encrypt.key-secret' is required for cipher"))?;
        let context = AmendContext {
            unlock: key,
            secrets: request.secrets,
            detached: false,
            max_iterations: LUKS_MAX_ITERATIONS,
        };
        let file = &self.file;
        let mut access = HeaderAccess {
            read: &reader(file, place),
            write: &mut |offset, data| {
                // Nothing outside of the area is the header's (luks1 §5 row 3).
                if offset.saturating_add(data.len() as u64) > place.length {
                    return Err(Error::invalid(
                        "Request for data outside of extension header",
                    ));
                }
                file.write_at(place.offset.plus(offset)?, data)
            },
            flush: &mut || file.flush(),
        };
        amend_volume(&mut access, &context, &options).map(|_| ())
    }
}
