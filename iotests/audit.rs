//! `cowproof audit` on images that the real tools and ours made, judged by a brute-force count on the bytes.

#![expect(
    clippy::unwrap_used,
    reason = "what the tests share fails the test as they do"
)]

#[path = "audit/against.rs"]
mod against;
#[path = "audit/brute.rs"]
mod brute;
#[path = "audit/choices.rs"]
mod choices;
#[path = "audit/hostile.rs"]
mod hostile;
#[path = "audit/outputs.rs"]
mod outputs;
#[path = "audit/page.rs"]
mod page;
#[path = "audit/reuse.rs"]
mod reuse;
#[path = "audit/room.rs"]
mod room;
#[path = "audit/secrecy.rs"]
mod secrecy;
#[path = "support.rs"]
mod support;
