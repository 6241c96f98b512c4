//! `qemu-img amend`.

use super::arguments::{Arguments, Choice};
use super::failure::{Failure, Outcome};
use super::format_options::FormatOptions;
use super::option_help;
use super::session::{ImageOptions, Session, cache_mode, one_image};
use crate::cli::progress::Printer;
use crate::graph::options::{Parsed, parse_options};
use crate::graph::{self, Environment, OpenFlags};
use crate::node::SharedNode;

const CHOICES: &[Choice] = &[
    Choice::flag('h', "help"),
    Choice::flag('q', "quiet"),
    Choice::long_value("object"),
    Choice::flag('p', "progress"),
    Choice::value('f', "format"),
    Choice::long_flag("image-opts"),
    Choice::value('t', "cache"),
    Choice::value('o', "options"),
    Choice::long_flag("force"),
];

/// Runs `qemu-img amend`.
pub fn run(session: &mut Session, arguments: Vec<String>) -> Outcome {
    let mut image = ImageOptions::default();
    let mut options = FormatOptions::default();
    let mut force = false;
    let mut wanted = false;
    let mut cache_name = "writeback".to_owned();
    let mut given = session.arguments(CHOICES, arguments);
    while let Some(option) = session.next_option(&mut given)? {
        let Some(option) = image.take(option) else {
            continue;
        };
        match option.key {
            "cache" => cache_name = option.value,
            "options" => options.add(&option.value)?,
            "force" => force = true,
            _ => wanted = true,
        }
    }
    if options.is_empty() {
        return Err(Failure::Usage("Must specify options (-o)".to_owned()));
    }
    let request = Request {
        image,
        options: parse_options(options.text(), None),
        force,
        cache_name,
        // From here on the line of the progress ends, even when it never began.
        progress: Printer::waiting(wanted && !session.quiet, 1.0),
    };
    request.carry_out(session, given)
}

/// What the command line asks for.
struct Request {
    image: ImageOptions,
    options: Parsed,
    force: bool,
    cache_name: String,
    progress: Printer,
}

impl Request {
    fn carry_out(&self, session: &mut Session, given: Arguments) -> Outcome {
        if let (true, Some(format)) = (self.options.help, &self.image.format) {
            option_help::amend(session, format)?;
            return Ok(0);
        }
        let name = one_image(given).map_err(|failure| match failure {
            // Where to find help is not said here.
            Failure::Usage(words) => Failure::words(words),
            other => other,
        })?;
        self.image.refuse_contradiction()?;
        let cache = cache_mode(&self.cache_name)
            .ok_or_else(|| Failure::words(format!("Invalid cache option: {}", self.cache_name)))?;
        let environment = session.environment();
        let flags = OpenFlags {
            writable: true,
            cache,
            ..OpenFlags::default()
        };
        let node = self.image.open(&name, flags, &environment)?;
        let outcome = if self.options.help {
            option_help::amend(session, node.driver())
        } else {
            self.amend(&node, &environment)
        };
        session.close_after(&node, outcome)?;
        Ok(0)
    }

    fn amend(&self, node: &SharedNode, environment: &Environment) -> Result<(), Failure> {
        let options = graph::amend::check(node.driver(), &self.options.tree)?;
        self.progress.begin();
        let amended =
            graph::amend::amend(node, &options, self.force, environment, &|done, total| {
                self.progress.report_phase(done, total);
            });
        // Here all is said to be done even when it failed.
        self.progress.finish();
        Ok(amended?)
    }
}
