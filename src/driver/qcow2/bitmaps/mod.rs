//! Persistent dirty bitmaps (qcow2 §7).

mod change;
mod directory;
mod list;
mod load;
mod store;
#[cfg(test)]
mod tests;

pub(super) use change::NODE_NAME;
pub(super) use list::{Bitmaps, Recording};
