//! `qemu-img commit`.

use super::failure::{Failure, Outcome};
use super::session::Session;

/// Runs `qemu-img commit`.
pub fn run(session: &mut Session, arguments: Vec<String>) -> Outcome {
    let _ = (session, arguments);
    Err(Failure::words("commit is not built yet"))
}
