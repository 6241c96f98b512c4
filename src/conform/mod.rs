//! Floor 8: subjects, iotest scripts, the runner and its reporters. Drives subjects as subprocesses only.

pub mod command;
pub mod event;
pub mod filter;
pub mod golden;
pub mod process;
pub mod reporter;
pub mod runner;
pub mod script;
pub mod selection;
pub mod subject;
pub mod suite;
