//! Floor 6: convert, compare, commit, rebase, map, measure … as engines without a terminal.

pub mod bench;
pub mod commit;
pub mod compare;
pub mod convert;
pub mod info;
pub mod map;
pub mod measure;
pub mod progress;
pub mod rebase;
pub mod sources;
pub mod zeroes;
