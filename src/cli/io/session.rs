//! One run of the tool: what is open, what is on its way, and how a command line is carried out.

use std::sync::Arc;

use super::command::{Complaint, Needs, Outcome};
use super::open::OpenImage;
use super::requests::Requests;
use super::{table, words};
use crate::base::error::errno;
use crate::base::{Error, Result};
use crate::cli::output::{self, Stdout};
use crate::crypto::secret::SecretStore;
use crate::graph::Environment;
use crate::graph::objects::ThrottleGroups;
use crate::node::notice::{LAST, NO_NEWLINE, carries_program_name};
use crate::node::{Node, Notices, SharedNode};

/// Everything that commands share.
pub(super) struct Session {
    /// The last part of `argv[0]`: messages start with it.
    pub(super) program: String,
    pub(super) output: Stdout,
    pub(super) environment: Environment,
    pub(super) image: Option<OpenImage>,
    pub(super) requests: Requests,
    /// Data of the command that runs: kept, so that thousands of commands don't allocate.
    pub(super) data: Vec<u8>,
    /// `-C` was given for the open image.
    pub(super) copy_on_read: bool,
    /// `open` takes options for a name: `--image-opts` was given.
    pub(super) image_opts: bool,
    /// `quit` was given.
    pub(super) ended: bool,
}

impl Session {
    pub(super) fn new(program: &str, secrets: SecretStore, groups: ThrottleGroups) -> Self {
        let name = program.to_owned();
        let notices = Notices::to(move |line| {
            if let Some(line) = line.strip_suffix(LAST) {
                output::complain(format_args!("{line}\n"));
                std::process::exit(1);
            }
            // Warnings carry the program's name, what a driver says of itself does not.
            let (line, end) = match line.strip_suffix(NO_NEWLINE) {
                Some(line) => (line, ""),
                None => (line, "\n"),
            };
            if carries_program_name(line) {
                output::complain(format_args!("{name}: {line}{end}"));
            } else {
                output::complain(format_args!("{line}{end}"));
            }
        });
        Self {
            program: program.to_owned(),
            output: Stdout::standard(),
            environment: Environment {
                secrets: Arc::new(secrets),
                throttle_groups: Arc::new(groups),
                notices,
            },
            image: None,
            requests: Requests::default(),
            data: Vec::new(),
            copy_on_read: false,
            image_opts: false,
            ended: false,
        }
    }

    /// `qemu-io: words`, with the hints behind them.
    pub(super) fn report(&self, error: &Error) {
        output::complain(format_args!("{}: {error}\n", self.program));
        for hint in error.hints() {
            output::complain(format_args!("{hint}\n"));
        }
    }

    /// Carries out one line; false when it failed.
    pub(super) fn run(&mut self, line: &str) -> bool {
        let words = words::split(line);
        let Some(&called) = words.first() else {
            return true;
        };
        let Some(command) = table::find(called) else {
            output::complain(format_args!("command \"{called}\" not found\n"));
            return false;
        };
        let compares = ["read", "write", "aio_"]
            .iter()
            .any(|start| command.name.starts_with(start));
        let image = self.image.as_ref().filter(|_| compares);
        if image.is_some_and(|image| verifies(&image.node)) {
            // The process may end within the command.
            self.output.flush();
        }
        let outcome = self
            .check(command, called, words.len() - 1)
            .and_then(|()| (command.run)(self, &words));
        let Err(complaint) = outcome else {
            return true;
        };
        match complaint {
            Complaint::Said => {}
            Complaint::Usage => self.output.line(&command.usage(command.name)),
            Complaint::Grammar(words) => {
                output::complain(format_args!("{words}\n"));
                self.output.line(&command.usage(command.name));
            }
            Complaint::Output(words) => self.output.line(&words),
            Complaint::Error(words) => output::complain(format_args!("{words}\n")),
            Complaint::Report(error) => self.report(&error),
        }
        false
    }

    fn check(&self, command: &super::command::Command, called: &str, count: usize) -> Outcome {
        if command.needs != Needs::Nothing && self.image.is_none() {
            return Err(Complaint::Error("no file open, try 'help open'".to_owned()));
        }
        if let Some(words) = command.miscount(called, count) {
            return Err(Complaint::Error(words));
        }
        let read_only = || {
            self.image
                .as_ref()
                .is_some_and(|image| !image.node.writable())
        };
        if command.needs == Needs::WritableImage && read_only() {
            return Err(Error::caller("Block node is read-only").into());
        }
        Ok(())
    }

    /// The open image.
    pub(super) fn node(&self) -> Result<SharedNode, Complaint> {
        match &self.image {
            Some(image) => Ok(SharedNode::clone(&image.node)),
            None => Err(Complaint::Said),
        }
    }

    /// Whether each write waits for the disk itself.
    pub(super) fn writes_through(&self) -> bool {
        self.image.as_ref().is_some_and(OpenImage::writes_through)
    }

    /// Prints what finished requests have to say.
    pub(super) fn print_finished(&mut self) {
        for text in self.requests.finished() {
            self.output.print(&text);
        }
    }

    /// Waits for requests, except for those that a breakpoint holds up, and prints.
    pub(super) fn settle(&mut self) {
        if self.requests.pending() {
            for text in self.requests.settled() {
                self.output.print(&text);
            }
        }
    }

    /// The same in a command that may have `waited` for a file, or for a table that one of those requests read.
    pub(super) fn settle_behind(&mut self, waited: bool) {
        if waited || self.requests.loaded_a_table() {
            self.settle_short();
        }
    }

    /// The same in a command that waited only for a short while, for a file.
    pub(super) fn settle_short(&mut self) {
        if self.requests.are_short() {
            self.settle();
        }
    }

    /// Waits for all requests, for ever if one stands at a breakpoint, and prints.
    pub(super) fn drain(&mut self) {
        if self.requests.pending() {
            for text in self.requests.all() {
                self.output.print(&text);
            }
        }
    }
}

/// Whether copies are compared somewhere in the image's tree.
fn verifies(node: &SharedNode) -> bool {
    matches!(node.driver(), "blkverify" | "quorum")
        || node.file().is_some_and(|file| verifies(&file))
}

/// The length that requests must stay within: whole sectors.
pub(super) fn visible_length(node: &dyn Node) -> Result<u64> {
    Ok(node.length()?.next_multiple_of(512))
}

/// EIO for a request that leaves the image.
pub(super) fn check_range(node: &dyn Node, offset: u64, count: u64) -> Result<()> {
    let length = visible_length(node)?;
    if offset <= length && count <= length - offset {
        Ok(())
    } else {
        Err(Error::bare(errno::EIO))
    }
}
