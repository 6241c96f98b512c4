//! Commands about the tool itself: `help`, `quit`, `sleep`, signals, breakpoints.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use super::command::{Complaint, Outcome};
use super::session::Session;
use super::table;
use super::words::{integer, number};
use crate::base::Error;
use crate::cli::signals;
use crate::node::Breakpoints;

pub(super) fn help(session: &mut Session, words: &[&str]) -> Outcome {
    let Some(called) = words.get(1) else {
        for command in table::COMMANDS {
            session.output.line(&command.usage(command.name));
        }
        let closing = "\nUse 'help commandname' for extended help.";
        session.output.line(closing);
        return Ok(());
    };
    let Some(command) = table::find(called) else {
        return Err(Complaint::Output(format!("command {called} not found")));
    };
    session.output.line(&command.usage(called));
    session.output.print(command.text);
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of a command")]
pub(super) fn quit(session: &mut Session, _: &[&str]) -> Outcome {
    session.ended = true;
    Ok(())
}

pub(super) fn sleep(session: &mut Session, words: &[&str]) -> Outcome {
    let text = words.get(1).copied().unwrap_or_default();
    let milliseconds =
        integer(text).ok_or_else(|| Complaint::Output(format!("{text} is not a valid number")))?;
    // As many nanoseconds as a signed number holds: more wrap around there, and don't wait.
    if i64::try_from(u128::from(milliseconds) * 1_000_000).is_ok() {
        std::thread::sleep(Duration::from_millis(milliseconds));
    }
    session.settle();
    Ok(())
}

pub(super) fn sigraise(session: &mut Session, words: &[&str]) -> Outcome {
    /// The number of signals.
    const SIGNALS: u64 = 65;
    let text = words.get(1).copied().unwrap_or_default();
    let number = number(text)?;
    if number > SIGNALS {
        return Err(Complaint::Output(format!(
            "signal argument '{text}' is too large to be a valid signal"
        )));
    }
    // The process may not come back to write it.
    session.output.flush();
    let number = i32::try_from(number).unwrap_or(0);
    match nix::sys::signal::Signal::try_from(number) {
        Ok(signal) => signals::send(signal),
        Err(_) if number >= 34 => {
            // Real-time signals have no names there; another process can send them.
            let own = std::process::id().to_string();
            let number = format!("-{number}");
            let mut kill = std::process::Command::new("kill");
            drop(kill.args([number, own]).stderr(Stdio::null()).status());
        }
        Err(_) => {}
    }
    Ok(())
}

pub(super) fn abort(_: &mut Session, _: &[&str]) -> Outcome {
    std::process::abort()
}

/// The breakpoints of the image's debugging node.
fn breakpoints(session: &Session, what: &str) -> Result<Arc<dyn Breakpoints>, Complaint> {
    session
        .node()?
        .breakpoints()
        .ok_or_else(|| Complaint::Output(format!("Could not {what}: Operation not supported")))
}

fn could_not(what: &str) -> impl Fn(Error) -> Complaint {
    move |error| Complaint::Output(format!("Could not {what}: {error}"))
}

pub(super) fn set_break(session: &mut Session, words: &[&str]) -> Outcome {
    let what = "set breakpoint";
    let breakpoints = breakpoints(session, what)?;
    breakpoints.report_to(session.output.notices());
    let (event, tag) = (words.get(1).copied(), words.get(2).copied());
    breakpoints
        .set(event.unwrap_or_default(), tag.unwrap_or_default())
        .map_err(could_not(what))
}

pub(super) fn remove_break(session: &mut Session, words: &[&str]) -> Outcome {
    let tag = words.get(1).copied().unwrap_or_default();
    let what = format!("remove breakpoint {tag}");
    let removed = breakpoints(session, &what)?.remove(tag);
    session.requests.quiesce();
    removed.map_err(could_not(&what))
}

pub(super) fn resume(session: &mut Session, words: &[&str]) -> Outcome {
    let what = "resume request";
    let tag = words.get(1).copied().unwrap_or_default();
    let resumed = breakpoints(session, what)?.resume(tag);
    session.requests.quiesce();
    resumed.map_err(could_not(what))
}

/// ours: where no driver ever stops a request, the real tool waits for ever.
pub(super) fn wait_break(session: &mut Session, words: &[&str]) -> Outcome {
    breakpoints(session, "wait for breakpoint")?.wait(words.get(1).copied().unwrap_or_default());
    Ok(())
}
