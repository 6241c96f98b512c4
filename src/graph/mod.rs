//! Floor 5: option trees, the driver registry, open and create, backing chains.

pub mod amend;
pub mod create;
pub mod environment;
pub mod json;
pub mod objects;
pub mod open;
pub mod options;

pub use create::{CreateRequest, create};
pub use environment::Environment;
pub use objects::add_object;
pub use open::{CacheMode, DRIVERS, ImageArgument, OpenFlags, open};
pub use options::OptionTree;
