//! cowproof: a reference implementation of qcow (v1), qcow2 and LUKS1 disk images,
//! with the conformance suite that measures any implementation against the real QEMU tools.
//!
//! The house has floors; a floor imports only floors below it (`docs/architecture.md`).

pub mod base;

pub mod codec;
pub mod crypto;
pub mod format;

pub mod node;

pub mod driver;

pub mod graph;

pub mod audit;

#[doc(hidden)]
pub mod fuzzing;

pub mod inspect;

pub mod job;

#[cfg(feature = "cli")]
pub mod cli;

#[cfg(feature = "cli")]
pub mod conform;
