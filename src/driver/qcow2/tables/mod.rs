//! L2 tables and refcount blocks in memory.

pub(super) mod cache;
pub(super) mod order;

pub(super) use cache::TableCache;
pub(super) use order::TableKind;
