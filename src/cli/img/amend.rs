//! `qemu-img amend`.

use super::arguments::Choice;
use super::failure::{Failure, Outcome};
use super::format_options::FormatOptions;
use super::option_help;
use super::session::{ImageOptions, Session, cache_mode, one_image};
use crate::cli::progress::Printer;
use crate::graph::options::parse_options;
use crate::graph::{self, Environment, OpenFlags, OptionTree};
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
    let parsed = parse_options(options.text(), None);
    let format = image.format.clone();
    if let (true, Some(format)) = (parsed.help, format) {
        option_help::amend(session, &format)?;
        return Ok(0);
    }
    let name = one_image(given).map_err(|failure| match failure {
        // Where to find help is not said here.
        Failure::Usage(words) => Failure::words(words),
        other => other,
    })?;
    image.refuse_contradiction()?;
    let cache = cache_mode(&cache_name)
        .ok_or_else(|| Failure::words(format!("Invalid cache option: {cache_name}")))?;
    let environment = session.environment();
    let flags = OpenFlags {
        writable: true,
        cache,
        ..OpenFlags::default()
    };
    let node = image.open(&name, flags, &environment)?;
    let outcome = if parsed.help {
        option_help::amend(session, node.driver())
    } else {
        amend(
            session,
            &node,
            &parsed.tree,
            Manner {
                force,
                progress: wanted,
            },
            &environment,
        )
    };
    let closed = node.close();
    outcome?;
    closed?;
    Ok(0)
}

/// How it is done.
#[derive(Clone, Copy)]
struct Manner {
    force: bool,
    progress: bool,
}

fn amend(
    session: &Session,
    node: &SharedNode,
    options: &OptionTree,
    manner: Manner,
    environment: &Environment,
) -> Result<(), Failure> {
    let progress = manner.progress && !session.quiet;
    let options = match graph::amend::check(node.driver(), options) {
        Ok(options) => options,
        Err(error) => {
            session.report(&error);
            // The line of the progress ends even when it never began.
            session.print(if progress { "\n" } else { "" });
            return Err(Failure::Said(1));
        }
    };
    let printer = Printer::start(progress, 1.0);
    let amended = graph::amend::amend(node, &options, manner.force, environment, &|done, total| {
        printer.report_phase(done, total);
    });
    // Here all is said to be done even when it failed.
    printer.finish();
    amended.map_err(|error| {
        session.report(&error);
        Failure::Said(1)
    })
}
