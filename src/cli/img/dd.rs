//! `qemu-img dd`.

use super::failure::{Failure, Outcome};
use super::session::Session;

/// Runs `qemu-img dd`.
pub fn run(session: &mut Session, arguments: Vec<String>) -> Outcome {
    let _ = (session, arguments);
    Err(Failure::words("dd is not built yet"))
}
