//! `qemu-img commit`.

use super::arguments::Choice;
use super::failure::{Failure, Outcome};
use super::images::{self, Operand};
use super::session::{ImageOptions, Session};
use crate::base::Error;
use crate::base::size::parse_argument;
use crate::cli::progress::Printer;
use crate::graph::{CacheMode, Environment, OpenFlags};
use crate::job::commit::{self, Commit};
use crate::node::SharedNode;

const CHOICES: &[Choice] = &[
    Choice::flag('h', "help"),
    Choice::flag('q', "quiet"),
    Choice::long_value("object"),
    Choice::flag('p', "progress"),
    Choice::value('f', "format"),
    Choice::long_flag("image-opts"),
    Choice::value('t', "cache"),
    Choice::flag('d', "drop"),
    Choice::value('b', "base"),
    Choice::value('r', "rate"),
];

#[derive(Default)]
struct Options {
    image: ImageOptions,
    cache: Option<String>,
    keep_top: bool,
    base: Option<String>,
    rate: Option<u64>,
    progress: bool,
}

/// Runs `qemu-img commit`.
pub fn run(session: &mut Session, arguments: Vec<String>) -> Outcome {
    let mut options = Options::default();
    let mut given = session.arguments(CHOICES, arguments);
    while let Some(option) = session.next_option(&mut given)? {
        let Some(option) = options.image.take(option) else {
            continue;
        };
        match option.key {
            "progress" => options.progress = true,
            "cache" => options.cache = Some(option.value),
            "drop" => options.keep_top = true,
            "base" => {
                options.base = Some(option.value);
                // With layers between, the top one would hide what its backing file then lacks.
                options.keep_top = true;
            }
            "rate" => options.rate = Some(parse_argument("rate limit", &option.value)?),
            _ => {}
        }
    }
    let operands = given.into_operands();
    let [name] = operands.as_slice() else {
        return Err(Failure::Usage("Expecting one image file name".to_owned()));
    };
    options.image.refuse_contradiction()?;
    let cache = match &options.cache {
        Some(name) => images::target_cache(name)?,
        None => CacheMode::Writeback,
    };
    let environment = session.environment();
    open_and_commit(session, &options, name, cache, &environment)?;
    session.print_unless_quiet("Image committed.\n");
    Ok(0)
}

fn open_and_commit(
    session: &Session,
    options: &Options,
    name: &str,
    cache: CacheMode,
    environment: &Environment,
) -> Result<(), Failure> {
    let operand = Operand {
        name,
        format: options.image.format.as_deref(),
        image_opts: options.image.image_opts,
    };
    let flags = OpenFlags {
        writable: true,
        // What becomes zero gives its space back.
        discard_unmap: true,
        cache,
        ..OpenFlags::default()
    };
    // The base is known only when the chain is; then it is opened once more, with the base for writing.
    // Opening for writing would change the image already.
    let looking = OpenFlags {
        writable: false,
        about_to_write: true,
        ..flags
    };
    let chain = match operand.open(looking, environment) {
        Ok(chain) => chain,
        Err(failure) => {
            // The words for somebody who wants to write are others (about locks).
            operand.open(flags, environment)?.close()?;
            return Err(failure);
        }
    };
    let progress = Printer::start(options.progress && !session.quiet, 1.0);
    let found = find_base(&chain, options.base.as_deref(), name);
    chain.close()?;
    let depth = match found {
        Ok(depth) => depth,
        // The real tool has opened it for writing by now: that somebody else uses it is found out first, bitmaps are stored
        // anew, a dirty image is repaired.
        Err(failure) if ["qcow", "qcow2"].contains(&chain.driver()) => {
            let top = operand.open(flags, environment)?;
            return session.close_after(&top, Err(failure));
        }
        Err(failure) => return Err(failure),
    };
    let flags = OpenFlags {
        writable_backing: depth,
        ..flags
    };
    let top = operand.open(flags, environment).map_err(base_in_use)?;
    let result = commit(options, &top, depth, &progress);
    if result.is_ok() {
        progress.finish();
    }
    session.close_after(&top, result)
}

/// That a layer below is used by somebody else is said without the way to it.
fn base_in_use(failure: Failure) -> Failure {
    const WAY: &str = "Could not open backing file: ";
    const LOCKED: &str = "Failed to get \"";
    let Failure::Error(error, code) = failure else {
        return failure;
    };
    let words = error.to_string();
    match words.find(LOCKED) {
        Some(at) if words[..at].ends_with(WAY) => {
            let bare = Error::caller(&words[at..]);
            let hints = error.hints().iter().cloned();
            Failure::Error(hints.fold(bare, Error::with_hint), code)
        }
        _ => Failure::Error(error, code),
    }
}

/// How many steps below the top the base is.
fn find_base(top: &SharedNode, base: Option<&str>, name: &str) -> Result<usize, Failure> {
    let Some(base) = base else {
        return match top.backing() {
            Some(_) => Ok(1),
            None => Err(Failure::words("Image does not have a backing file")),
        };
    };
    let mut overlay = SharedNode::clone(top);
    let mut depth = 0;
    while let Some(backing) = overlay.backing() {
        depth += 1;
        let recorded = overlay.backing_reference();
        if recorded.is_some_and(|recorded| recorded.name == base)
            || images::same_file(&images::beside(&overlay, base), &backing.filename())
        {
            return Ok(depth);
        }
        overlay = backing;
    }
    Err(Failure::words(format!(
        "Did not find '{base}' in the backing chain of '{name}'"
    )))
}

fn commit(
    options: &Options,
    top: &SharedNode,
    depth: usize,
    progress: &Printer,
) -> Result<(), Failure> {
    let mut base = SharedNode::clone(top);
    for _ in 0..depth {
        base = base.backing().ok_or_else(Error::eio)?;
    }
    commit::run(&Commit {
        top,
        base: &base,
        empty_top: !options.keep_top,
        workers: images::workers(),
        rate: options.rate,
        progress,
    })
    .map_err(|error| {
        let reason = error.errno_text();
        Error::caller(format!("Block job failed: {reason}"))
            .with_source(error)
            .into()
    })
}
