//! `qemu-img rebase`.

use super::arguments::Choice;
use super::failure::{Failure, Outcome};
use super::images::{self, Operand};
use super::session::{ImageOptions, Session};
use crate::base::Error;
use crate::base::error::errno;
use crate::cli::progress::Printer;
use crate::graph::open::open_node;
use crate::graph::{CacheMode, DRIVERS, Environment, ImageArgument, OpenFlags};
use crate::job::rebase::{self, Rebase, Step};
use crate::node::{BackingReference, SharedNode};

const CHOICES: &[Choice] = &[
    Choice::flag('h', "help"),
    Choice::flag('q', "quiet"),
    Choice::long_value("object"),
    Choice::flag('p', "progress"),
    Choice::flag('U', "force-share"),
    Choice::value('f', "format"),
    Choice::long_flag("image-opts"),
    Choice::value('t', "cache"),
    Choice::value('b', "backing"),
    Choice::value('F', "backing-format"),
    Choice::value('T', "backing-cache"),
    Choice::flag('u', "backing-unsafe"),
    Choice::flag('c', "compress"),
];

#[derive(Default)]
struct Options {
    image: ImageOptions,
    cache: Option<String>,
    backing: Option<String>,
    backing_format: Option<String>,
    backing_cache: Option<String>,
    unsafely: bool,
    compressed: bool,
    progress: bool,
}

/// Runs `qemu-img rebase`.
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
            "backing" => options.backing = Some(option.value),
            "backing-format" => options.backing_format = Some(option.value),
            "backing-cache" => options.backing_cache = Some(option.value),
            "backing-unsafe" => options.unsafely = true,
            "compress" => options.compressed = true,
            _ => {}
        }
    }
    let operands = given.into_operands();
    let [name] = operands.as_slice() else {
        return Err(Failure::Usage("Expecting one image file name".to_owned()));
    };
    if !options.unsafely && options.backing.is_none() {
        return Err(Failure::Usage(
            "Must specify backing file (-b) or use unsafe mode (-u)".to_owned(),
        ));
    }
    let environment = session.environment();
    let progress = Printer::start(options.progress && !session.quiet, 2.0);
    open_and_rebase(session, &options, name, &environment, &progress)?;
    Ok(0)
}

fn open_and_rebase(
    session: &Session,
    options: &Options,
    name: &str,
    environment: &Environment,
    progress: &Printer,
) -> Result<(), Failure> {
    let cache = match &options.cache {
        Some(name) => images::target_cache(name)?,
        None => CacheMode::Writeback,
    };
    let backing_cache = match &options.backing_cache {
        Some(name) => images::source_cache(name)?,
        None => CacheMode::Writeback,
    };
    let operand = Operand {
        name,
        format: options.image.format.as_deref(),
        image_opts: options.image.image_opts,
    };
    let flags = OpenFlags {
        writable: true,
        no_backing: options.unsafely,
        cache,
        ..OpenFlags::default()
    };
    let top = operand.open(flags, environment)?;
    let result = rebase(options, &top, backing_cache, environment, progress);
    session.close_after(&top, result)
}

fn rebase(
    options: &Options,
    top: &SharedNode,
    backing_cache: CacheMode,
    environment: &Environment,
    progress: &Printer,
) -> Result<(), Failure> {
    if options.compressed && !images::COMPRESSIBLE.contains(&top.driver()) {
        return Err(images::uncompressible());
    }
    if let Some(format) = &options.backing_format
        && !DRIVERS.contains(&format.as_str())
    {
        return Err(Failure::words(format!("Invalid format name: '{format}'")));
    }
    if !options.unsafely {
        copy_differences(options, top, backing_cache, environment, progress)?;
    }
    progress.finish();
    let name = options.backing.as_deref().unwrap_or("");
    let reference = (!name.is_empty()).then(|| BackingReference {
        name: name.to_owned(),
        format: options.backing_format.clone(),
    });
    let cannot = |words: &str| {
        Failure::words(format!(
            "Could not change the backing file to '{name}': {words}"
        ))
    };
    if reference
        .as_ref()
        .is_some_and(|reference| reference.format.is_none())
    {
        return Err(cannot("backing format must be specified"));
    }
    top.change_backing_reference(reference.as_ref())
        .map_err(|error| match error.errno() {
            errno::ENOSPC if error.is_bare() => Failure::words(format!(
                "Could not change the backing file to '{name}': No space left in the file header"
            )),
            _ => cannot(&error.to_string()),
        })
}

/// Opens what the image will lie on, and copies what would read differently there.
fn copy_differences(
    options: &Options,
    top: &SharedNode,
    cache: CacheMode,
    environment: &Environment,
    progress: &Printer,
) -> Result<(), Failure> {
    let name = options.backing.as_deref().unwrap_or("");
    let new_backing = if name.is_empty() {
        None
    } else {
        images::check_beside(top, name)?;
        let image = ImageArgument::File {
            name: images::beside(top, name),
            format: options.backing_format.clone(),
        };
        let flags = OpenFlags {
            force_share: options.image.force_share,
            cache,
            ..OpenFlags::default()
        };
        let node = open_node(&image, flags, environment).map_err(|error| {
            error.prefixed(format!("Could not open new backing file '{name}': "))
        })?;
        Some(node)
    };
    let result = rebase::run(&Rebase {
        top,
        new_backing: new_backing.as_ref(),
        compressed: options.compressed,
        progress,
    });
    let closed = new_backing.map_or(Ok(()), |node| node.close());
    result.map_err(words)?;
    Ok(closed?)
}

/// The words of a rebase that failed.
fn words(failure: rebase::Failure) -> Failure {
    let reason = failure.error.errno_text();
    let text = match failure.step {
        Step::Status => format!("error while reading image metadata: {reason}"),
        Step::ReadingOld => "error while reading from old backing file".to_owned(),
        Step::ReadingNew => "error while reading from new backing file".to_owned(),
        Step::Writing => format!("Error while writing to COW image: {reason}"),
    };
    Error::caller(text).with_source(failure.error).into()
}
