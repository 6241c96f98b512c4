//! `blkdebug`: a node that makes requests fail, or wait, at chosen moments.

mod config;
mod debug_node;
mod limits;
mod machine;
mod rules;

pub use config::{Section, parse_config};
pub use debug_node::{Blkdebug, BlkdebugOptions};
pub use limits::Limits;
pub use rules::{InjectError, IoTypes, Rule, SetState};

#[cfg(test)]
mod tests;
