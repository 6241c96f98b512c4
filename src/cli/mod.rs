//! Floor 7: the talking parts.

pub mod audit;
pub mod check;
mod explain;
pub mod img;
pub mod io;
pub mod iv;
pub mod json;
pub mod link;
mod output;
pub mod progress;
mod signals;
mod trace;
