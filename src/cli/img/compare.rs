//! `qemu-img compare`.

use super::failure::{Failure, Outcome};
use super::session::Session;

/// Runs `qemu-img compare`.
pub fn run(session: &mut Session, arguments: Vec<String>) -> Outcome {
    let _ = (session, arguments);
    Err(Failure::words("compare is not built yet"))
}
