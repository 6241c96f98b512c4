//! `qemu-img convert`.

use super::failure::{Failure, Outcome};
use super::session::Session;

/// Runs `qemu-img convert`.
pub fn run(session: &mut Session, arguments: Vec<String>) -> Outcome {
    let _ = (session, arguments);
    Err(Failure::words("convert is not built yet"))
}
