//! Floor 7: the talking parts.

mod dispatch;
pub mod img;
pub mod io;
pub mod link;
pub mod run;

pub use dispatch::main;
