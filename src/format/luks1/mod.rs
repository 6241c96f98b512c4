//! LUKS1 headers (luks1 §1–§5), pure.

pub mod error;
pub mod geometry;
pub mod header;
pub mod slot;

pub use error::LuksError;
pub use geometry::Geometry;
pub use header::{HEADER_BYTES, Header};
pub use slot::{KeySlot, SLOT_COUNT, STRIPES};
