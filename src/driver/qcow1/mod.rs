//! qcow version 1 on a file.

pub mod create;
pub mod open;

mod cluster;
mod empty;
mod image;
mod read;
mod tables;
mod write;

pub use create::{Qcow1CreateOptions, create};
pub use image::Qcow1;
pub use open::Qcow1OpenOptions;

#[cfg(test)]
mod tests;
