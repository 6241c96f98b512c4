//! Persistent dirty bitmaps: extension, directory, tables (qcow2 §7).

pub mod directory;
pub mod error;
pub mod extension;
pub mod table;

pub use directory::{BitmapFlags, DirectoryEntry};
pub use error::BitmapError;
pub use extension::BitmapsExtension;
