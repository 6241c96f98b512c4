//! `qemu-img rebase`.

use super::failure::{Failure, Outcome};
use super::session::Session;

/// Runs `qemu-img rebase`.
pub fn run(session: &mut Session, arguments: Vec<String>) -> Outcome {
    let _ = (session, arguments);
    Err(Failure::words("rebase is not built yet"))
}
