//! LUKS1: the volume that qcow2 embeds too, and the standalone driver.

pub mod amend;
pub mod create_options;
pub mod info;
pub mod node;
#[cfg(test)]
mod real_tools;
pub mod slot_options;
pub mod unlock;
pub mod volume;

pub use amend::{AmendContext, amend_volume};
pub use create_options::LuksCreateOptions;
pub use info::info_value;
pub use node::{Luks, LuksOpenOptions};
pub use slot_options::{KeySlotOptions, SlotTarget};
pub use volume::{
    HeaderAccess, LuksVolume, ReadHeader, UnlockOptions, WriteHeader, create_volume,
    inspect_volume, open_volume, plan_volume,
};
