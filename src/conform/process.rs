//! One subprocess with a time limit, its output in a file.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// ours: a script that talks without end must not fill our memory.
const OUTPUT_BYTES_MAX: u64 = 8 << 20;

/// How a subprocess ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It exited.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
    /// It and its children were killed when their time was up.
    TimedOut,
}

/// Runs `command` with stdout and stderr in `output`, for no longer than `limit`.
pub fn run(command: &mut Command, output: &Path, limit: Duration) -> io::Result<(Ending, String)> {
    let file = File::create(output)?;
    command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .process_group(0);
    let mut child = command.spawn()?;
    let ending = wait(&mut child, limit)?;
    let mut bytes = Vec::new();
    File::open(output)?
        .take(OUTPUT_BYTES_MAX)
        .read_to_end(&mut bytes)?;
    Ok((ending, String::from_utf8_lossy(&bytes).into_owned()))
}

fn wait(child: &mut Child, limit: Duration) -> io::Result<Ending> {
    let started = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(ending_of(status));
        }
        if started.elapsed() >= limit {
            // The child leads a group of its own and is not reaped yet: the id can't be anyone else's.
            if let Ok(id) = i32::try_from(child.id()) {
                let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
            }
            child.wait()?;
            return Ok(Ending::TimedOut);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(16));
    }
}

fn ending_of(status: ExitStatus) -> Ending {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ending::Code(code),
        (None, Some(signal)) => Ending::Signal(signal),
        (None, None) => Ending::Code(-1),
    }
}

#[cfg(test)]
mod tests;
