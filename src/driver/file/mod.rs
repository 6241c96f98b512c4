//! Host files with the real tools' locks.

mod allocate;
mod direct;
mod file;
mod locks;
mod open;

pub use file::File;
pub use open::{FileOptions, Locking};

#[cfg(test)]
mod tests;
