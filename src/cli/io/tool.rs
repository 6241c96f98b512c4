//! The tool from its command line to its exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use super::open::Switches;
use super::session::Session;
use super::stdin::Lines;
use crate::base::Error;
use crate::cli::img::arguments::{Arguments, Choice, Given};
use crate::cli::trace::{self, Trouble};
use crate::cli::{output, signals};
use crate::crypto::secret::SecretStore;
use crate::graph::objects::ThrottleGroups;
use crate::graph::{ImageArgument, objects};

const CHOICES: [Choice; 17] = [
    Choice::flag('h', "help"),
    Choice::flag('V', "version"),
    Choice::value('c', "cmd"),
    Choice::value('f', "format"),
    Choice::flag('r', "read-only"),
    Choice::flag('s', "snapshot"),
    Choice::flag('n', "nocache"),
    Choice::flag('C', "copy-on-read"),
    Choice::flag('m', "misalign"),
    Choice::flag('k', "native-aio"),
    Choice::value('i', "aio"),
    Choice::value('d', "discard"),
    Choice::value('t', "cache"),
    Choice::value('T', "trace"),
    Choice::flag('U', "force-share"),
    Choice::long_value("object"),
    Choice::long_flag("image-opts"),
];

/// Why the tool ends before its first command.
enum Ending {
    /// Text on standard output, exit code 0.
    Asked(String),
    /// The usage on standard output, exit code 1; what is wrong on standard error when there is more to say.
    Usage(Option<String>),
    /// `qemu-io: words`.
    Refused(Error),
    /// The words on standard error, exit code 1.
    Said(String),
}

impl From<Error> for Ending {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<Trouble> for Ending {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Said(line) => Self::Said(line),
            Trouble::Error(error) => Self::Refused(error),
        }
    }
}

const USAGE: &str = include_str!("help/usage.txt");

/// The command line, read.
struct CommandLine {
    commands: Vec<String>,
    format: Option<String>,
    image_opts: bool,
    switches: Switches,
    secrets: SecretStore,
    throttle_groups: ThrottleGroups,
    objects: Vec<String>,
    warnings: Vec<String>,
    file: Option<String>,
}

fn version(program: &str) -> String {
    format!(
        "{program} version 10.0.2 (cowproof {})\nCopyright (c) 2026 The cowproof authors\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// The letter that `open` has for an option of the command line.
fn letter(key: &str) -> char {
    CHOICES
        .iter()
        .find(|choice| choice.key == key)
        .and_then(|choice| choice.short)
        .unwrap_or_default()
}

impl CommandLine {
    fn new() -> Self {
        Self {
            commands: Vec::new(),
            format: None,
            image_opts: false,
            switches: Switches::new(),
            secrets: SecretStore::default(),
            throttle_groups: ThrottleGroups::default(),
            objects: Vec::new(),
            warnings: Vec::new(),
            file: None,
        }
    }

    fn take(&mut self, program: &str, given: Given) -> Result<(), Ending> {
        match given.key {
            "help" => return Err(Ending::Asked(USAGE.to_owned())),
            "version" => return Err(Ending::Asked(version(program))),
            "cmd" => self.commands.push(given.value),
            "format" => self.format = Some(given.value),
            "image-opts" => self.image_opts = true,
            "object" => self.objects.push(given.value),
            "trace" => self.warnings.extend(trace::look_at(program, &given.value)?),
            key => self.switches.take(letter(key), &given.value)?,
        }
        Ok(())
    }

    fn read(invoked: &str, program: &str, arguments: Vec<String>) -> Result<Self, Ending> {
        let mut line = Self::new();
        let mut walk = if std::env::var_os("POSIXLY_CORRECT").is_some() {
            Arguments::operands_last(&CHOICES, arguments)
        } else {
            Arguments::permuted(&CHOICES, arguments)
        };
        while let Some(given) = walk
            .advance()
            .map_err(|words| Ending::Usage(Some(format!("{invoked}: {words}"))))?
        {
            line.take(program, given)?;
        }
        let mut operands = walk.into_operands();
        if operands.len() > 1 {
            return Err(Ending::Usage(None));
        }
        line.file = operands.pop();
        if line.format.is_some() && line.image_opts {
            return Err(Error::caller("--image-opts and -f are mutually exclusive").into());
        }
        for text in std::mem::take(&mut line.objects) {
            if let Some(help) =
                objects::add_object(&text, &mut line.secrets, &mut line.throttle_groups)?
            {
                return Err(Ending::Asked(format!("{}\n", help.trim_end())));
            }
        }
        Ok(line)
    }
}

/// Runs the tool. `invoked` is the name it was called by (`/usr/bin/qemu-io`, `cowproof io`), the option parser
/// speaks under the whole of it, everything else under its last part.
pub fn main(invoked: &str, arguments: Vec<OsString>) -> ExitCode {
    signals::hold();
    let program = invoked.rsplit('/').next().unwrap_or(invoked);
    let arguments = arguments
        .into_iter()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let line = match CommandLine::read(invoked, program, arguments) {
        Ok(line) => line,
        Err(ending) => return end(program, ending),
    };
    let mut session = Session::new(program, line.secrets, line.throttle_groups);
    session.image_opts = line.image_opts;
    for warning in &line.warnings {
        session.environment.notices.say(warning);
    }
    if let Some(name) = line.file {
        let argument = if line.image_opts {
            ImageArgument::Options(session.options(&name))
        } else {
            ImageArgument::File {
                name,
                format: line.format,
            }
        };
        if let Err(error) = session.open_image(argument, line.switches) {
            session.report(&error);
            return ExitCode::FAILURE;
        }
    }
    let succeeded = if line.commands.is_empty() {
        converse(&mut session)
    } else {
        carry_out(&mut session, &line.commands)
    };
    session.close_image();
    session.output.flush();
    if succeeded {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn end(program: &str, ending: Ending) -> ExitCode {
    match ending {
        Ending::Asked(text) => {
            output::print_now(&text);
            ExitCode::SUCCESS
        }
        Ending::Usage(words) => {
            if let Some(words) = words {
                output::complain(format_args!("{words}\n"));
            }
            output::print_now(USAGE);
            ExitCode::FAILURE
        }
        Ending::Said(words) => {
            output::complain(format_args!("{words}\n"));
            ExitCode::FAILURE
        }
        Ending::Refused(error) => {
            output::complain(format_args!("{program}: {error}\n"));
            for hint in error.hints() {
                output::complain(format_args!("{hint}\n"));
            }
            ExitCode::FAILURE
        }
    }
}

/// `-c`, one after the other, whatever fails.
fn carry_out(session: &mut Session, commands: &[String]) -> bool {
    let mut succeeded = true;
    for command in commands {
        if session.ended {
            break;
        }
        succeeded &= session.run(command);
    }
    succeeded
}

/// Lines from standard input, a prompt before each.
fn converse(session: &mut Session) -> bool {
    let mut lines = Lines::default();
    let mut succeeded = true;
    while !session.ended {
        session.output.print("qemu-io> ");
        session.output.flush();
        let line = lines.next(|| {
            if !session.requests.pending() {
                return false;
            }
            session.print_finished();
            session.output.flush();
            session.requests.pending()
        });
        let Some(line) = line else {
            break;
        };
        succeeded &= session.run(&line);
    }
    succeeded
}
