//! What a user of a node does with it, and does not let others do: the base of locks between processes.

use bitflags::bitflags;

bitflags! {
    /// Ways to use a node.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Permissions: u8 {
        /// Reads that must see a consistent state.
        const CONSISTENT_READ = 1;
        /// Writes.
        const WRITE = 2;
        /// Writes that don't change what is read.
        const WRITE_UNCHANGED = 4;
        /// Changes of the length.
        const RESIZE = 8;
    }
}

/// Own use, and the use by others that is not tolerated meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// What this user does.
    pub used: Permissions,
    /// What nobody else may do.
    pub unshared: Permissions,
}
