//! `cowproof img`, the drop-in for `qemu-img`: one file a subcommand.

pub mod arguments;
pub mod dispatch;
pub mod failure;
pub mod format_options;
pub mod help;
pub mod images;
mod info;
mod map;
mod measure;
pub mod session;

mod amend;
mod bench;
mod bitmap;
mod check;
mod commit;
mod compare;
mod convert;
mod create;
mod dd;
mod option_help;
mod rebase;
mod resize;
mod snapshot;

pub use dispatch::main;
