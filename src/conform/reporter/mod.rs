//! Views of the event stream.

pub mod diff;
pub mod jsonl;
pub mod junit;
pub mod matrix;
pub mod terminal;
