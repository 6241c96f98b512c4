//! Floor 1: units, errors, limits, byte cursors. No I/O.

pub mod bytes;
pub mod error;
pub mod iv_sector;
pub mod limits;
pub mod size;
pub mod units;

pub use error::{Error, Kind, Result};
pub use iv_sector::IvSector;
pub use units::{GuestOffset, HostOffset, PayloadOffset};
