//! `cowproof io`, the drop-in for `qemu-io`: one file for each group of commands.

mod change;
mod command;
mod control;
mod inspect;
mod open;
mod overlay;
mod read;
mod requests;
mod session;
mod stats;
mod stdin;
mod table;
mod tool;
mod words;
mod write;

pub use tool::main;
