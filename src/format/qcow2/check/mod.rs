//! `check` as a fold over tables: what is referenced is counted, and held against what is stored (qcow2 §13).

pub mod compare;
pub mod counts;
pub mod finding;
pub mod l2;

pub use counts::{FrozenCounts, ReferenceCounts};
pub use finding::Finding;
