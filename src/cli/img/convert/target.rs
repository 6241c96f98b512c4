//! The target of `convert`: made, or found.

use serde_json::Value;

use super::super::failure::Failure;
use super::super::images::{self, Operand};
use super::bitmaps;
use super::options::Options;
use crate::base::{Error, GuestOffset};
use crate::graph::create::{self, tables::create_options};
use crate::graph::{
    CacheMode, CreateRequest, Environment, ImageArgument, OpenFlags, OptionTree, open,
};
use crate::job::convert::Unwritten;
use crate::job::sources::Sources;
use crate::node::SharedNode;

const SECTOR: u64 = 512;
/// Formats that can lie on a backing file.
const OVERLAYS: &[&str] = &["qcow", "qcow2"];

/// Makes the target unless told not to, and opens it; tells what it holds before anything is written.
pub(super) fn prepare(
    options: &Options,
    environment: &Environment,
    nodes: &[SharedNode],
) -> Result<(SharedNode, Unwritten), Failure> {
    let created = if options.no_create {
        None
    } else {
        Some(creation(options, environment, nodes)?)
    };
    if options.target_is_zero && options.backing.is_some() {
        // Observed: refused, and yet the exit code says that all is well.
        let words = "Cannot use --target-is-zero when the destination image has a backing file";
        return Err(Failure::words(words).with_code(0));
    }
    if options.backing.is_some() {
        refuse_backing_of_many(nodes)?;
    }
    bitmaps::chosen(options, nodes)?;
    let cache = match &options.target_cache {
        Some(name) => images::target_cache(name)?,
        None => CacheMode::Unsafe,
    };
    let flags = OpenFlags {
        writable: true,
        // What becomes zero gives its space back.
        discard_unmap: true,
        cache,
        ..OpenFlags::default()
    };
    let Some(request) = created else {
        let operand = Operand {
            name: &options.target,
            format: if options.target_image_opts {
                options.target_format.as_deref()
            } else {
                Some(target_format(options))
            },
            image_opts: options.target_image_opts,
        };
        let node = operand.open(flags, environment)?;
        if options.compressed && !images::COMPRESSIBLE.contains(&node.driver()) {
            return Err(images::uncompressible());
        }
        let unwritten = if options.target_is_zero {
            Unwritten::Zeroes
        } else {
            Unwritten::Unknown
        };
        return Ok((node, unwritten));
    };
    create::prepare(&request, environment)
        .and_then(|prepared| prepared.create(environment))
        .map_err(|error| {
            let (name, format) = (&request.filename, &request.format);
            error.prefixed(format!("{name}: error while converting {format}: "))
        })?;
    let encrypted = is_encrypted(&request.options) || request.format == "luks";
    let image = ImageArgument::Created {
        options: run_time_options(&request.options),
        name: request.filename,
        format: request.format,
    };
    let node = open(&image, flags, environment)?;
    let unwritten = unwritten(&node, encrypted)?;
    Ok((node, unwritten))
}

fn target_format(options: &Options) -> &str {
    options.target_format.as_deref().unwrap_or("raw")
}

fn refuse_backing_of_many(nodes: &[SharedNode]) -> Result<(), Failure> {
    if nodes.len() < 2 {
        return Ok(());
    }
    Err(Failure::words(
        "Having a backing file for the target makes no sense when concatenating multiple input images",
    ))
}

/// What is to be made, refused where it contradicts itself.
fn creation(
    options: &Options,
    environment: &Environment,
    nodes: &[SharedNode],
) -> Result<CreateRequest, Failure> {
    let format = target_format(options);
    if create_options(format).is_none() {
        return Err(create::unknown_format(format).into());
    }
    let mut tree = options.made_with.parse();
    let request = CreateRequest {
        format: format.to_owned(),
        filename: options.target.clone(),
        unsafe_backing: true,
        ..CreateRequest::default()
    };
    refuse_malformed(&request, &tree, environment)?;
    tree.set("size", Sources::join(nodes)?.length());
    if let Some(backing) = &options.backing {
        if !OVERLAYS.contains(&format) {
            return Err(Failure::words(format!(
                "Backing file not supported for file format '{format}'"
            )));
        }
        tree.set("backing_file", backing.as_str());
    }
    if let Some(backing_format) = &options.backing_format {
        if !OVERLAYS.contains(&format) {
            return Err(Failure::words(format!(
                "Backing file format not supported for file format '{format}'"
            )));
        }
        let format = backing_format;
        tree.set("backing_fmt", format.as_str());
    }
    if tree.lookup("backing_file").is_some() {
        refuse_backing_of_many(nodes)?;
    }
    if tree.lookup("backing_file").is_some() && tree.lookup("backing_fmt").is_none() {
        return Err(Failure::words(
            "Use of backing file requires explicit backing format",
        ));
    }
    // No file behind the name: the real tool crashes here.
    if tree.lookup("backing_file").is_some_and(|name| name == "") {
        tree.take("backing_file");
        tree.take("backing_fmt");
    }
    if options.compressed {
        refuse_compression(format, &tree)?;
    }
    Ok(CreateRequest {
        options: tree,
        ..request
    })
}

/// Unknown options and values of the wrong kind are refused before anything else is looked at.
fn refuse_malformed(
    request: &CreateRequest,
    tree: &OptionTree,
    environment: &Environment,
) -> Result<(), Failure> {
    let mut alone = tree.clone();
    if OVERLAYS.contains(&request.format.as_str()) {
        alone.take("backing_file");
        alone.take("backing_fmt");
    }
    if alone.lookup("size").is_none() {
        alone.set("size", 0);
    }
    let request = CreateRequest {
        options: alone,
        ..request.clone()
    };
    create::prepare(&request, environment)?;
    Ok(())
}

fn refuse_compression(format: &str, tree: &OptionTree) -> Result<(), Failure> {
    if !images::COMPRESSIBLE.contains(&format) {
        return Err(images::uncompressible());
    }
    if is_encrypted(tree) {
        return Err(Failure::words(
            "Compression and encryption not supported at the same time",
        ));
    }
    if tree
        .lookup("preallocation")
        .is_some_and(|mode| mode != "off")
    {
        return Err(Failure::words(
            "Compression and preallocation not supported at the same time",
        ));
    }
    Ok(())
}

fn is_encrypted(tree: &OptionTree) -> bool {
    tree.lookup("encrypt.format").is_some()
        || tree
            .lookup("encryption")
            .is_some_and(|value| value == "on" || *value == Value::Bool(true))
}

/// The part of `-o` that opening needs again.
fn run_time_options(tree: &OptionTree) -> OptionTree {
    let mut options = OptionTree::default();
    for (name, value) in tree.iter() {
        if name == "key-secret" || name == "encrypt.key-secret" {
            options.set(name, value.clone());
        }
    }
    options
}

/// What a target that was just made reads as.
fn unwritten(node: &SharedNode, encrypted: bool) -> Result<Unwritten, Error> {
    let length = node.length()?;
    // Space that was reserved holds zeros, which a cipher turns into something else (errata 11, 25).
    let garbage = encrypted && length > 0 && node.extent(GuestOffset::ZERO, length)?.allocated;
    Ok(match node.backing() {
        _ if garbage => Unwritten::Unknown,
        Some(backing) => Unwritten::ZeroesFrom(backing.length()?.next_multiple_of(SECTOR)),
        None => Unwritten::Zeroes,
    })
}
