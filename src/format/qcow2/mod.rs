//! qcow2 versions 2 and 3.

pub mod extension;
pub mod feature_names;
pub mod header;
