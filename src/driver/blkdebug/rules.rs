//! What a blkdebug node shall do, and when.

use bitflags::bitflags;

use crate::node::DebugEvent;

bitflags! {
    /// Kinds of requests that an error is injected into.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct IoTypes: u8 {
        /// Reads.
        const READ = 1;
        /// Writes of data.
        const WRITE = 2;
        /// Zero writes.
        const WRITE_ZEROES = 4;
        /// Discards.
        const DISCARD = 8;
        /// Flushes.
        const FLUSH = 16;
        /// Questions about what lies where.
        const BLOCK_STATUS = 32;
    }
}

impl IoTypes {
    /// The kinds that a rule without `iotype` is for.
    pub const DEFAULT: Self = Self::all().difference(Self::BLOCK_STATUS);

    /// The kind of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "read" => Self::READ,
            "write" => Self::WRITE,
            "write-zeroes" => Self::WRITE_ZEROES,
            "discard" => Self::DISCARD,
            "flush" => Self::FLUSH,
            "block-status" => Self::BLOCK_STATUS,
            _ => return None,
        })
    }
}

/// From its event on, matching requests fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InjectError {
    /// The event that arms it.
    pub event: DebugEvent,
    /// Only in this state.
    pub state: Option<i64>,
    /// The requests that fail.
    pub io_types: IoTypes,
    /// The errno; nothing fails when it is not positive.
    pub errno: i32,
    /// Only requests that touch this sector.
    pub sector: Option<u64>,
    /// Gone after the first failure.
    pub once: bool,
    /// The request fails before it is on its way.
    pub immediately: bool,
}

/// At its event, the state changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetState {
    /// The event.
    pub event: DebugEvent,
    /// Only in this state.
    pub state: Option<i64>,
    /// The state from then on.
    pub new_state: i64,
}

/// One entry of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// `inject-error`
    Inject(InjectError),
    /// `set-state`
    State(SetState),
}
