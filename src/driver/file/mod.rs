//! Host files with the real tools' locks.

mod allocate;
mod direct;
mod host_node;
mod locks;
mod open;

pub use host_node::File;
pub use open::{FileOptions, Locking};

#[cfg(test)]
mod tests;
