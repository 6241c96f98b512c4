//! qcow2 versions 2 and 3.

pub mod bitmap;
pub mod check;
pub mod compressed_descriptor;
pub mod extension;
pub mod feature_names;
pub mod geometry;
pub mod header;
pub mod l1_entry;
pub mod l2_entry;
pub mod layout;
pub mod lookup;
pub mod refcount;
pub mod snapshot_table;
pub mod subcluster;

pub use compressed_descriptor::CompressedDescriptor;
pub use geometry::{Geometry, HostCluster};
pub use l1_entry::L1Entry;
pub use l2_entry::{Cluster, L2Entry};
pub use subcluster::Subcluster;
