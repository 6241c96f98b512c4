//! Floor 6: what an image says about itself, read without trusting it.

pub mod explain;
