//! The driver against the real tools and against a flat vector.

mod same_layout;
