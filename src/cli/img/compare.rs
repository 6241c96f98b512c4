//! `qemu-img compare`.

use super::arguments::Choice;
use super::failure::{Failure, Outcome};
use super::images::{self, Operand};
use super::session::Session;
use crate::base::Error;
use crate::cli::progress::Printer;
use crate::graph::{Environment, OpenFlags};
use crate::job::compare::{self, Comparison, Step, Verdict};
use crate::node::SharedNode;

const CHOICES: &[Choice] = &[
    Choice::flag('h', "help"),
    Choice::flag('q', "quiet"),
    Choice::long_value("object"),
    Choice::flag('p', "progress"),
    Choice::value('f', "a-format"),
    Choice::long_value("left-format").meaning("a-format"),
    Choice::value('F', "b-format"),
    Choice::long_value("right-format").meaning("b-format"),
    Choice::long_flag("image-opts"),
    Choice::flag('s', "strict"),
    Choice::value('T', "cache"),
    Choice::flag('U', "force-share"),
];

/// The images are not the same.
const DIFFERENT: u8 = 1;
/// An image could not be opened.
const NOT_OPENED: u8 = 2;
/// An image could not say what it holds.
const NO_STATUS: u8 = 3;
/// An image could not be read.
const UNREADABLE: u8 = 4;

#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of the command line"
)]
#[derive(Default)]
struct Options {
    formats: [Option<String>; 2],
    image_opts: bool,
    strict: bool,
    progress: bool,
    cache: Option<String>,
    force_share: bool,
}

/// Runs `qemu-img compare`.
pub fn run(session: &mut Session, arguments: Vec<String>) -> Outcome {
    let mut options = Options::default();
    let mut given = session.arguments(CHOICES, arguments);
    while let Some(option) = session
        .next_option(&mut given)
        .map_err(|failure| failure.with_code(NOT_OPENED))?
    {
        match option.key {
            "progress" => options.progress = true,
            "a-format" => options.formats[0] = Some(option.value),
            "b-format" => options.formats[1] = Some(option.value),
            "image-opts" => options.image_opts = true,
            "strict" => options.strict = true,
            "cache" => options.cache = Some(option.value),
            "force-share" => options.force_share = true,
            _ => {}
        }
    }
    let operands = given.into_operands();
    let [a, b] = operands.as_slice() else {
        return Err(Failure::Usage("Expecting two image file names".to_owned()));
    };
    let environment = session.environment();
    let progress = Printer::waiting(options.progress && !session.quiet, 2.0);
    let a = options.open(0, a, &environment)?;
    let b = options.open(1, b, &environment)?;
    progress.begin();
    let outcome = compare(session, &options, [&a, &b], &operands, &progress);
    let closed = b.close().and(a.close());
    let code = outcome?;
    closed.map_err(|error| Failure::Error(error, NOT_OPENED))?;
    Ok(code)
}

impl Options {
    fn open(
        &self,
        image: usize,
        name: &str,
        environment: &Environment,
    ) -> Result<SharedNode, Failure> {
        let cache = match &self.cache {
            Some(name) => {
                images::source_cache(name).map_err(|error| Failure::Error(error, NOT_OPENED))?
            }
            None => crate::graph::CacheMode::Writeback,
        };
        let operand = Operand {
            name,
            format: self.formats[image].as_deref(),
            image_opts: self.image_opts,
        };
        let flags = OpenFlags {
            cache,
            force_share: self.force_share,
            ..OpenFlags::default()
        };
        operand
            .open(flags, environment)
            .map_err(|failure| failure.with_code(NOT_OPENED))
    }
}

fn compare(
    session: &Session,
    options: &Options,
    images: [&SharedNode; 2],
    names: &[String],
    progress: &Printer,
) -> Outcome {
    let lengths = [images[0].length()?, images[1].length()?];
    let common = lengths[0].min(lengths[1]);
    let whole = lengths[0].max(lengths[1]);
    if options.strict && common != whole {
        session.print_unless_quiet("Strict mode: Image size mismatch!\n");
        return Ok(DIFFERENT);
    }
    let compare_range = |from, to| {
        compare::run(&Comparison {
            images,
            from,
            to,
            strict: options.strict,
            // One at a time when somebody watches: what lies behind a difference is not to be told.
            workers: if options.progress && !session.quiet {
                1
            } else {
                images::workers()
            },
            progress,
        })
        .map_err(|failure| words(failure, names))
    };
    let mut verdict = compare_range(0, common)?;
    if verdict == Verdict::Identical && common != whole {
        session.print_unless_quiet("Warning: Image size mismatch!\n");
        verdict = compare_range(common, whole)?;
    }
    let (text, code) = match verdict {
        Verdict::Identical => ("Images are identical.".to_owned(), 0),
        Verdict::Content(offset) => (
            format!("Content mismatch at offset {}!", offset.bytes()),
            DIFFERENT,
        ),
        Verdict::Status(offset) => (
            format!(
                "Strict mode: Offset {} block status mismatch!",
                offset.bytes()
            ),
            DIFFERENT,
        ),
    };
    session.print_unless_quiet(&format!("{text}\n"));
    Ok(code)
}

/// The words and the exit code of a comparison that failed.
fn words(failure: compare::Failure, names: &[String]) -> Failure {
    let name = names.get(failure.image).map_or("", String::as_str);
    let (text, code) = match failure.step {
        Step::Status => (
            format!("Sector allocation test failed for {name}"),
            NO_STATUS,
        ),
        Step::Reading => (
            format!(
                "Error while reading offset {} of {name}: {}",
                failure.offset.bytes(),
                failure.error.errno_text()
            ),
            UNREADABLE,
        ),
    };
    Failure::Error(Error::caller(text).with_source(failure.error), code)
}
