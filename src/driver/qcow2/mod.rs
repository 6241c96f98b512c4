//! qcow2 versions 2 and 3.

mod allocate;
mod amend;
mod backing;
mod bitmaps;
mod check;
mod close;
mod compressed;
pub mod create;
mod discard;
mod extent;
mod header_fields;
mod image;
mod in_flight;
mod info;
mod l1;
mod l2;
mod make_empty;
mod metadata;
mod node;
mod open;
mod overlap;
mod plan;
mod preallocate;
mod range_lock;
mod read;
mod refcount_growth;
mod refcounts;
mod resize;
mod runs;
mod snapshot;
mod snapshot_tree;
mod tables;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod vm_state;
#[cfg(test)]
pub(crate) mod workshop;
mod write;
mod zero;

pub use image::{Qcow2, Qcow2OpenOptions};
