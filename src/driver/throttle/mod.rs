//! `throttle`: requests wait until their group's limits allow them.

mod bucket;
mod limits;
mod throttle_node;

pub use bucket::Group;
pub use limits::{Limit, Limits};
pub use throttle_node::Throttle;
