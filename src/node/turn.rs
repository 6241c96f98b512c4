//! The order among parallel writers.

use crate::base::Result;

/// A writer's place in a queue of parallel writes (see [`super::Node::write_in_turn`]).
///
/// Where an image stores things depends on the order of allocation. Whoever writes in parallel and wants the
/// layout that a serial writer would get hands each write its turn.
pub trait Turn {
    /// Blocks until every earlier writer has passed its turn; an error when one of them failed and the rest
    /// of the queue is called off. Waiting again is free.
    fn wait(&mut self) -> Result<()>;

    /// Lets the next writer go. Called once, after `wait`, when nothing that follows in this write can change
    /// where it or a later one is stored. Passing again does nothing.
    fn pass(&mut self);
}
