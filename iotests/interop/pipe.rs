//! A `qemu-io` that lives as long as it is needed: a command takes it microseconds, where a process takes milliseconds.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::play::SECRETS;
use crate::support::Tools;

const PROMPT: &[u8] = b"qemu-io> ";
/// Seconds until it is ended, whatever happens.
const PATIENCE: &str = "900";

/// A running `qemu-io`.
pub struct Pipe {
    child: Child,
    input: Option<ChildStdin>,
    output: ChildStdout,
    timing: regex::Regex,
}

impl Pipe {
    /// Starts the tool and waits for its prompt.
    pub fn start(tools: &Tools) -> Result<Self, String> {
        let mut child = Command::new("sh")
            .args(["-c", "exec timeout -s KILL \"$@\" 2>&1", "sh", PATIENCE])
            .arg(&tools.io)
            .args(SECRETS)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| e.to_string())?;
        let mut pipe = Self {
            input: child.stdin.take(),
            output: child.stdout.take().ok_or("no output")?,
            child,
            timing: regex::Regex::new(r"(\d+ ops; ).*").expect("a pattern"),
        };
        pipe.until_prompt()?;
        Ok(pipe)
    }

    /// Everything up to the next prompt. One command at a time: the real tool reads no second one before it is
    /// woken again.
    fn until_prompt(&mut self) -> Result<String, String> {
        let mut said = Vec::new();
        let mut piece = vec![0; 1 << 16];
        while !said.ends_with(PROMPT) {
            let length = self.output.read(&mut piece).map_err(|e| e.to_string())?;
            said.extend_from_slice(&piece[..length]);
            if length == 0 {
                let said = String::from_utf8_lossy(&said).into_owned();
                return Err(format!("qemu-io has ended: {said}"));
            }
        }
        said.truncate(said.len() - PROMPT.len());
        String::from_utf8(said).map_err(|e| e.to_string())
    }

    /// What the tool answers, without what every run measures anew.
    pub fn say(&mut self, line: &str) -> Result<String, String> {
        let input = self.input.as_mut().ok_or("no input")?;
        writeln!(input, "{line}").map_err(|e| e.to_string())?;
        let said = self.until_prompt()?;
        Ok(self.timing.replace_all(&said, "${1}…").into_owned())
    }

    /// The same for a command that can't fail.
    pub fn must(&mut self, line: &str) -> Result<String, String> {
        let said = self.say(line)?;
        if said.contains("failed: ") || said.contains("can't open") {
            return Err(format!("{line}: {said}"));
        }
        Ok(said)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // The end of its input ends it.
        self.input = None;
        let _ = self.child.wait();
    }
}
