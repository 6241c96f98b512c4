//! qcow version 1: bytes in, values out.

pub mod create;
pub mod entry;
pub mod geometry;
pub mod header;
pub mod lookup;

pub use create::CreateLayout;
pub use entry::{Mapping, Misaligned};
pub use geometry::Geometry;
pub use header::{Crypt, Header, HeaderError};
pub use lookup::{Run, lookup};
