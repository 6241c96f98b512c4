//! Raw images: the file's bytes are the disk's, optionally a window of them.

mod raw_node;

pub use raw_node::{HeaderGuard, Raw, Window};

#[cfg(test)]
mod tests;
