//! What all subcommands share: who speaks, where to, the secrets, and the options that most of them know.

use std::sync::Arc;

use super::arguments::{Arguments, Choice, Given};
use super::failure::{Failure, Outcome};
use super::help;
use super::images::Operand;
use crate::base::Error;
use crate::cli::output;
use crate::crypto::secret::SecretStore;
use crate::graph::objects::{ThrottleGroups, check_identifier};
use crate::graph::options::parse_options;
use crate::graph::{CacheMode, Environment, ImageArgument, OpenFlags, add_object};
use crate::node::notice::{LAST, NO_NEWLINE, carries_program_name};
use crate::node::{Notices, SharedNode};

/// One run of the tool.
#[derive(Debug)]
pub struct Session {
    /// `argv[0]` as given: the option parser speaks under this name.
    invoked: String,
    /// Its last part: everything else speaks under this one.
    program: String,
    /// The subcommand, once it is known.
    command: String,
    secrets: SecretStore,
    throttle_groups: ThrottleGroups,
    /// `-q`: progress and results are not printed.
    pub quiet: bool,
}

impl Session {
    /// A session under the name the tool was called by.
    pub fn new(invoked: &str) -> Self {
        let program = invoked.rsplit('/').next().unwrap_or(invoked);
        Self {
            invoked: invoked.to_owned(),
            program: program.to_owned(),
            command: String::new(),
            secrets: SecretStore::default(),
            throttle_groups: ThrottleGroups::default(),
            quiet: false,
        }
    }

    /// From here on it is this subcommand that speaks.
    pub fn enter(&mut self, command: &str) {
        command.clone_into(&mut self.command);
    }

    /// The name in front of messages.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// The next option of a subcommand; `--help`, `--quiet` and `--object` are dealt with here.
    pub fn next_option(&mut self, arguments: &mut Arguments<'_>) -> Result<Option<Given>, Failure> {
        while let Some(given) = arguments.advance().map_err(Failure::Grammar)? {
            match given.key {
                "help" => {
                    self.print(help::of(&self.command));
                    if self.is_own_tool() {
                        self.print(help::own(&self.command));
                    }
                    return Err(Failure::Said(0));
                }
                "quiet" => self.quiet = true,
                "object" => self.add_object(&given.value)?,
                _ => return Ok(Some(given)),
            }
        }
        Ok(None)
    }

    /// Called as `cowproof img`, which may do more than the drop-in.
    pub fn is_own_tool(&self) -> bool {
        self.program == "cowproof img"
    }

    /// A walk over the subcommand's arguments.
    pub fn arguments<'a>(&self, choices: &'a [Choice], arguments: Vec<String>) -> Arguments<'a> {
        if std::env::var_os("POSIXLY_CORRECT").is_some() {
            Arguments::operands_last(choices, arguments)
        } else {
            Arguments::permuted(choices, arguments)
        }
    }

    /// `--object`.
    fn add_object(&mut self, definition: &str) -> Result<(), Failure> {
        match add_object(definition, &mut self.secrets, &mut self.throttle_groups)? {
            None => Ok(()),
            Some(help) => {
                self.print(&format!("{help}\n"));
                Err(Failure::Said(0))
            }
        }
    }

    /// What graph needs to open images. Called when all options are read: it takes the secrets along.
    pub fn environment(&mut self) -> Environment {
        let program = self.program.clone();
        Environment {
            secrets: Arc::new(std::mem::take(&mut self.secrets)),
            throttle_groups: Arc::new(std::mem::take(&mut self.throttle_groups)),
            notices: Notices::to(move |line| {
                if let Some(line) = line.strip_suffix(LAST) {
                    output::print_now("");
                    output::complain(format_args!("{line}\n"));
                    std::process::exit(1);
                }
                // Warnings carry the program's name, what a driver says of itself does not.
                let (line, end) = match line.strip_suffix(NO_NEWLINE) {
                    Some(line) => (line, ""),
                    None => (line, "\n"),
                };
                if carries_program_name(line) {
                    output::complain(format_args!("{program}: {line}{end}"));
                } else {
                    output::complain(format_args!("{line}{end}"));
                }
            }),
        }
    }

    /// Writes to standard output, which is buffered when it is not a terminal.
    pub fn print(&self, text: &str) {
        output::print(text);
    }

    /// Prints unless `-q` was given.
    pub fn print_unless_quiet(&self, text: &str) {
        if !self.quiet {
            self.print(text);
        }
    }

    /// `qemu-img: words` on standard error, with the error's hints behind it.
    pub fn report(&self, error: &Error) {
        output::complain(format_args!("{}: {error}\n", self.program));
        output::complain(format_args!("{}", error.hints().join("\n")));
        if !error.hints().is_empty() && error.ends_its_last_line() {
            output::complain(format_args!("\n"));
        }
    }

    /// `qemu-img: words` on standard error.
    pub fn say(&self, words: &str) {
        output::complain(format_args!("{}: {words}\n", self.program));
    }

    /// `qemu-img: warning: words` on standard error.
    pub fn warn(&self, words: &str) {
        output::complain(format_args!("{}: warning: {words}\n", self.program));
    }

    /// Says what is left to say and gives the exit code.
    pub fn finish(&self, outcome: Outcome) -> u8 {
        let code = self.say_outcome(outcome);
        output::print_now("");
        code
    }

    /// Closes an image. What went wrong before is said before what closing it has to say.
    pub fn close_after<T>(
        &self,
        node: &SharedNode,
        outcome: Result<T, Failure>,
    ) -> Result<T, Failure> {
        let outcome = outcome.map_err(|failure| Failure::Said(self.say_outcome(Err(failure))));
        let closed = node.close();
        let result = outcome?;
        closed?;
        Ok(result)
    }

    /// Says why a subcommand did not succeed; its exit code.
    pub fn say_outcome(&self, outcome: Outcome) -> u8 {
        match outcome {
            Ok(code) | Err(Failure::Said(code)) => code,
            Err(Failure::Error(error, code)) => {
                self.report(&error);
                code
            }
            Err(Failure::Usage(words)) => {
                self.say(&words);
                self.point_to_help();
                1
            }
            Err(Failure::Grammar(words)) => {
                output::complain(format_args!("{}: {words}\n", self.speaker()));
                self.point_to_help();
                1
            }
        }
    }

    /// `argv[0]` and the subcommand.
    fn speaker(&self) -> String {
        format!("{} {}", self.invoked, self.command)
            .trim_end()
            .to_owned()
    }

    fn point_to_help(&self) {
        output::complain(format_args!(
            "Try '{} --help' for more info\n",
            self.speaker()
        ));
    }
}

/// `-f`, `--image-opts`, `-U` and a cache mode: how a subcommand names the image it works on.
#[derive(Clone, Debug, Default)]
pub struct ImageOptions {
    /// `-f FMT`.
    pub format: Option<String>,
    /// `--image-opts`.
    pub image_opts: bool,
    /// `-U`.
    pub force_share: bool,
}

impl ImageOptions {
    /// Takes an option when it is one of these; gives it back otherwise.
    pub fn take(&mut self, given: Given) -> Option<Given> {
        match given.key {
            "format" => self.format = Some(given.value),
            "image-opts" => self.image_opts = true,
            "force-share" => self.force_share = true,
            _ => return Some(given),
        }
        None
    }

    /// `-f` and `--image-opts` exclude each other.
    pub fn refuse_contradiction(&self) -> Result<(), Failure> {
        if self.image_opts && self.format.is_some() {
            return Err(Failure::words(
                "--image-opts and --format are mutually exclusive",
            ));
        }
        Ok(())
    }

    /// Opens the image that an operand names.
    pub fn open(
        &self,
        name: &str,
        flags: OpenFlags,
        environment: &Environment,
    ) -> Result<SharedNode, Failure> {
        let operand = Operand {
            name,
            format: self.format.as_deref(),
            image_opts: self.image_opts,
        };
        let flags = OpenFlags {
            force_share: self.force_share,
            ..flags
        };
        operand.open(flags, environment)
    }
}

/// The image that an operand names, under `--image-opts` or with a format.
pub fn image_argument(
    name: &str,
    format: Option<&str>,
    image_opts: bool,
    environment: &Environment,
) -> Result<ImageArgument, Failure> {
    if image_opts {
        let parsed = parse_options(name, Some("file"));
        if let Some(id) = &parsed.identifier {
            check_identifier(id)?;
        }
        for warning in &parsed.warnings {
            environment.notices.say(warning);
        }
        return Ok(ImageArgument::Options(parsed.tree));
    }
    Ok(ImageArgument::File {
        name: name.to_owned(),
        format: format.map(str::to_owned),
    })
}

/// `--output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputFormat {
    /// Text for people.
    #[default]
    Human,
    /// JSON.
    Json,
}

impl OutputFormat {
    /// The format with that name.
    pub fn parse(name: &str) -> Result<Self, Failure> {
        match name {
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            _ => Err(Failure::Usage(format!(
                "--output expects 'human' or 'json' not '{name}'"
            ))),
        }
    }
}

/// The one operand of a subcommand that works on one image.
pub fn one_image(arguments: Arguments<'_>) -> Result<String, Failure> {
    let mut operands = arguments.into_operands();
    match (operands.pop(), operands.is_empty()) {
        (Some(name), true) => Ok(name),
        _ => Err(Failure::Usage("Expecting one image file name".to_owned())),
    }
}

/// The cache mode with that name.
pub fn cache_mode(name: &str) -> Option<CacheMode> {
    Some(match name {
        "none" | "off" => CacheMode::None,
        "writeback" => CacheMode::Writeback,
        "writethrough" => CacheMode::Writethrough,
        "directsync" => CacheMode::Directsync,
        "unsafe" => CacheMode::Unsafe,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
