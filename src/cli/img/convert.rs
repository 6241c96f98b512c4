//! `qemu-img convert`.

mod bitmaps;
mod options;
pub(super) mod snapshot;
mod target;

use self::options::Options;
use super::failure::{Failure, Outcome};
use super::images::Operand;
use super::session::Session;
use crate::base::{Error, GuestOffset};
use crate::cli::progress::Printer;
use crate::graph::{Environment, OpenFlags};
use crate::job::convert::{self, Conversion, Settings, Step};
use crate::job::sources::Sources;
use crate::node::{Node, SharedNode};

/// Runs `qemu-img convert`.
pub fn run(session: &mut Session, arguments: Vec<String>) -> Outcome {
    let options = Options::parse(session, arguments)?;
    let environment = session.environment();
    let progress = Printer::start(options.progress && !session.quiet, 1.0);
    let nodes = open_sources(&options, &environment)?;
    let outcome = convert(session, &options, &environment, &nodes, &progress);
    if outcome.is_ok() {
        progress.finish();
    }
    let closed = nodes.iter().try_for_each(|node| node.close());
    outcome.and_then(|()| Ok(closed.map(|()| 0)?))
}

fn open_sources(options: &Options, environment: &Environment) -> Result<Vec<SharedNode>, Failure> {
    let flags = OpenFlags {
        force_share: options.force_share,
        unshared: !options.force_share,
        cache: options.source_cache,
        ..OpenFlags::default()
    };
    let mut nodes = Vec::with_capacity(options.sources.len());
    for name in &options.sources {
        let operand = Operand {
            name,
            format: options.source_format.as_deref(),
            image_opts: options.source_image_opts,
        };
        nodes.push(operand.open(flags, environment)?);
    }
    Ok(nodes)
}

fn convert(
    session: &Session,
    options: &Options,
    environment: &Environment,
    nodes: &[SharedNode],
    progress: &Printer,
) -> Result<(), Failure> {
    snapshot::load(options, nodes)?;
    let (target, unwritten) = target::prepare(options, environment, nodes)?;
    let result = bitmaps::check_target(options, &target)
        .and_then(|()| copy(session, options, nodes, &target, unwritten, progress))
        .and_then(|()| match nodes {
            [source] => {
                let chosen = bitmaps::chosen(options, nodes)?;
                bitmaps::copy(session, &chosen, source, &target)
            }
            _ => Ok(()),
        });
    // Observed: the real tool ends with a compressed write of nothing; where that is refused, it fails without a word.
    let ends_well = !options.compressed
        || target.driver() != "qcow" && target.write_compressed(GuestOffset::ZERO, &[]).is_ok();
    let closed = target.close();
    result?;
    closed?;
    if !ends_well {
        return Err(Failure::Said(1));
    }
    Ok(())
}

fn copy(
    session: &Session,
    options: &Options,
    nodes: &[SharedNode],
    target: &SharedNode,
    unwritten: convert::Unwritten,
    progress: &Printer,
) -> Result<(), Failure> {
    let on_backing =
        options.backing.is_some() || (!options.no_create && target.backing().is_some());
    let sources = match (nodes, on_backing) {
        ([node], true) => Sources::above(node, node.backing())?,
        _ => Sources::join(nodes)?,
    };
    if target.length()? < sources.length() {
        return Err(Failure::words("output file is smaller than input file"));
    }
    let compressed_cluster = match (options.compressed, target.info()?.cluster_size) {
        (false, _) => None,
        (true, Some(size)) => usize::try_from(size).ok(),
        (true, None) => {
            return Err(Failure::words(
                "Compression not supported for this file format",
            ));
        }
    };
    let offloads = |node: &SharedNode| offloads_copies(node.as_ref());
    let settings = Settings {
        verbatim: options.copy_range && nodes.iter().chain([target]).all(offloads),
        // What salvaging says comes in the order of the disk.
        workers: if options.salvage { 1 } else { options.workers },
        zeroes: convert::Zeroes::from_sparse_size(options.sparse_size),
        compressed_cluster,
        out_of_order: options.out_of_order,
        unwritten,
        salvage: options.salvage,
        rate: options.rate,
    };
    convert::run(&Conversion {
        sources: &sources,
        target,
        settings: &settings,
        progress,
        salvaged: &|step, offset, error| {
            if !session.quiet {
                let what = if step == Step::Status {
                    "block status at "
                } else {
                    ""
                };
                let offset = offset.bytes();
                session.warn(&format!(
                    "error while reading {what}offset {offset}: {}",
                    error.errno_text()
                ));
            }
        },
    })
    .map_err(words)
}

/// Whether the real tool has the host copy between such images, without seeing the data.
fn offloads_copies(node: &dyn Node) -> bool {
    let plain = || node.info().is_ok_and(|info| !info.encrypted);
    match node.driver() {
        "raw" => true,
        "qcow2" => {
            plain()
                && node
                    .backing()
                    .is_none_or(|backing| offloads_copies(backing.as_ref()))
        }
        _ => false,
    }
}

/// The words of a copy that failed.
fn words(failure: convert::Failure) -> Failure {
    let offset = failure.offset.bytes();
    let what = match failure.step {
        Step::Status => format!("error while reading block status at offset {offset}"),
        Step::Reading => format!("error while reading at byte {offset}"),
        Step::Writing => format!("error while writing at byte {offset}"),
    };
    let reason = failure.error.errno_text();
    Error::caller(format!("{what}: {reason}"))
        .with_source(failure.error)
        .into()
}
