//! What lies where, for map and convert.

use super::image::Qcow2;
use crate::base::{GuestOffset, Result};
use crate::format::qcow2::lookup::Mapping;
use crate::node::Extent;

impl Qcow2 {
    /// The status of a run at `offset`.
    pub(super) fn extent_disk(&self, offset: GuestOffset, length: u64) -> Result<Extent> {
        let length = length.min(self.size().saturating_sub(offset.bytes()));
        if length == 0 {
            return Ok(Extent::default());
        }
        let run = self.metadata()?.lookup(offset, length)?;
        let found = Extent {
            length: run.length,
            ..Extent::default()
        };
        Ok(match run.mapping {
            Mapping::Unallocated => found,
            Mapping::Zero(host) => Extent {
                zero: true,
                allocated: true,
                host,
                ..found
            },
            Mapping::Data(host) => Extent {
                data: true,
                allocated: true,
                // Ciphertext is not what the guest reads.
                host: self.encryption_method.is_none().then_some(host),
                ..found
            },
            Mapping::Compressed(_) => Extent {
                data: true,
                allocated: true,
                compressed: true,
                ..found
            },
        })
    }
}
