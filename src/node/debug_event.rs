//! Moments of a driver's work that a debugging node below can act on.

use super::Notices;
use crate::base::{Error, Result};

/// The events and their names, as the real tools know them.
macro_rules! events {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A moment of a driver's work.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum DebugEvent {
            $($(#[$doc])* $variant,)*
        }

        impl DebugEvent {
            /// Every event.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name that options and commands use.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

events! {
    /// An entry of the first mapping table is about to be written.
    L1Update = "l1_update",
    /// Space for a longer L1 table is about to be allocated.
    L1GrowAllocTable = "l1_grow_alloc_table",
    /// The longer L1 table is about to be written.
    L1GrowWriteTable = "l1_grow_write_table",
    /// The header is about to point at the longer L1 table.
    L1GrowActivateTable = "l1_grow_activate_table",
    /// An L2 table is about to be read.
    L2Load = "l2_load",
    /// A changed L2 table is about to be written.
    L2Update = "l2_update",
    /// A compressed cluster's L2 entry is about to change.
    L2UpdateCompressed = "l2_update_compressed",
    /// A shared L2 table is about to be copied.
    L2AllocCowRead = "l2_alloc_cow_read",
    /// A new L2 table is about to be written.
    L2AllocWrite = "l2_alloc_write",
    /// Guest data is about to be read.
    ReadAio = "read_aio",
    /// Guest data is about to be read from the backing file.
    ReadBackingAio = "read_backing_aio",
    /// A compressed cluster is about to be read.
    ReadCompressed = "read_compressed",
    /// Guest data is about to be written.
    WriteAio = "write_aio",
    /// A compressed cluster is about to be written.
    WriteCompressed = "write_compressed",
    /// VM state is about to be read.
    VmstateLoad = "vmstate_load",
    /// VM state is about to be written.
    VmstateSave = "vmstate_save",
    /// What surrounds a partial write is about to be read.
    CowRead = "cow_read",
    /// What surrounds a partial write is about to be written.
    CowWrite = "cow_write",
    /// The refcount table is about to be read.
    ReftableLoad = "reftable_load",
    /// The refcount table is about to grow.
    ReftableGrow = "reftable_grow",
    /// An entry of the refcount table is about to be written.
    ReftableUpdate = "reftable_update",
    /// A refcount block is needed.
    RefblockLoad = "refblock_load",
    /// A whole refcount block is about to be written.
    RefblockUpdate = "refblock_update",
    /// A changed refcount block is about to be written.
    RefblockUpdatePart = "refblock_update_part",
    /// The refcount block of a cluster is looked for.
    RefblockAlloc = "refblock_alloc",
    /// The refcount table is about to point at a new block.
    RefblockAllocHookup = "refblock_alloc_hookup",
    /// A new refcount block is about to be written.
    RefblockAllocWrite = "refblock_alloc_write",
    /// The blocks of a new refcount area are about to be written.
    RefblockAllocWriteBlocks = "refblock_alloc_write_blocks",
    /// A larger refcount table is about to be written.
    RefblockAllocWriteTable = "refblock_alloc_write_table",
    /// The header is about to point at the larger refcount table.
    RefblockAllocSwitchTable = "refblock_alloc_switch_table",
    /// Clusters are about to be allocated.
    ClusterAlloc = "cluster_alloc",
    /// Space for compressed data is about to be allocated.
    ClusterAllocBytes = "cluster_alloc_bytes",
    /// Clusters are about to be freed.
    ClusterFree = "cluster_free",
    /// What is cached is about to be written.
    FlushToOs = "flush_to_os",
    /// The host file is about to be flushed.
    FlushToDisk = "flush_to_disk",
    /// The block at an unaligned write's start is about to be read.
    PwritevRmwHead = "pwritev_rmw_head",
    /// That block was read.
    PwritevRmwAfterHead = "pwritev_rmw_after_head",
    /// The block at an unaligned write's end is about to be read.
    PwritevRmwTail = "pwritev_rmw_tail",
    /// That block was read.
    PwritevRmwAfterTail = "pwritev_rmw_after_tail",
    /// A write is about to start.
    Pwritev = "pwritev",
    /// A zero write is about to start.
    PwritevZero = "pwritev_zero",
    /// A write has ended.
    PwritevDone = "pwritev_done",
    /// An image is about to be emptied.
    EmptyImagePrepare = "empty_image_prepare",
    /// The unused end of the L1 table is about to be cleared.
    L1ShrinkWriteTable = "l1_shrink_write_table",
    /// L2 tables behind the end are about to be freed.
    L1ShrinkFreeL2Clusters = "l1_shrink_free_l2_clusters",
    /// What was read is about to be written by copy-on-read.
    CorWrite = "cor_write",
    /// A new cluster's space is about to be zeroed as a whole.
    ClusterAllocSpace = "cluster_alloc_space",
    /// The node was just made.
    None = "none",
}

impl DebugEvent {
    /// The event of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|event| event.name() == name)
    }
}

/// The source of an injected error that comes before the request was even on its way (`immediately`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request was not begun")]
pub struct NotBegun;

/// Whether a request failed before anything else could be on its way.
pub fn fails_at_once(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<NotBegun>)
}

/// Breakpoints of a debugging node: requests stop at an event until they are resumed.
pub trait Breakpoints: Send + Sync {
    /// The next request that raises `event` stops and gets the name `tag`; ENOENT for an unknown event.
    fn set(&self, event: &str, tag: &str) -> Result<()>;

    /// Takes a breakpoint away and resumes whatever stopped there; ENOENT when there is none that waits.
    fn remove(&self, tag: &str) -> Result<()>;

    /// Lets the request that stopped under `tag` go on; ENOENT when none did.
    fn resume(&self, tag: &str) -> Result<()>;

    /// Waits until a request has stopped under `tag`.
    fn wait(&self, tag: &str);

    /// Where it is said that a request stops or goes on.
    fn report_to(&self, notices: Notices);
}
