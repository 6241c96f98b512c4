//! Making the file, and the format in it.

use std::os::unix::fs::FileTypeExt;
use std::sync::Arc;

use super::{Prepared, encrypted_zeros};
use crate::base::error::errno;
use crate::base::size::{LongerThanAnyDisk, check_node_length};
use crate::base::{Error, GuestOffset, HostOffset, Result};
use crate::crypto::secret::Secret;
use crate::driver::file::{File, FileOptions};
use crate::driver::luks::{Luks, LuksCreateOptions};
use crate::driver::qcow1::{self, Qcow1CreateOptions};
use crate::driver::qcow2::create as qcow2;
use crate::driver::qcow2::create::{Qcow2CreateOptions, Qcow2Encryption};
use crate::format::qcow1::create::CreateError;
use crate::format::qcow2::header::CompressionType;
use crate::graph::options::values::{invalid_value, parse_switch};
use crate::graph::{Environment, ImageArgument, OpenFlags, OptionTree, open};
use crate::node::{Access, HostFile, Node, Permissions, Preallocation, SharedNode};

/// Bytes at the start of a new raw file that are written, not left as a hole: what the real tools do so that the
/// alignment of direct I/O can be found out later.
const WRITTEN_HEAD: u64 = 4096;

pub(super) fn build(prepared: &Prepared, environment: &Environment) -> Result<()> {
    open::check_target(&prepared.filename)?;
    let attributes = Attributes::of(prepared)?;
    if prepared.format == "host_device" {
        return reuse_device(prepared, environment);
    }
    let plan = Plan::new(prepared, environment)?;
    let file = create_file(&prepared.path, attributes)?;
    let outcome = match &prepared.header_path {
        None => plan.run(&file, None),
        Some(path) => create_beside(path, |header| plan.run(&file, Some(header))),
    }
    .and_then(|()| close_new(file.as_ref()));
    let device = file.is_device();
    drop(file);
    let outcome = outcome.and_then(|()| {
        if prepared.encrypted_zeros {
            encrypted_zeros::write(prepared, environment)
        } else {
            Ok(())
        }
    });
    outcome.map_err(|error| {
        if !device {
            // The failure is what matters; that nothing could be removed would only hide it.
            let _ = std::fs::remove_file(&prepared.path);
        }
        if prepared.format == "luks" && error.errno() == errno::EFBIG {
            return Error::caller("The requested file size is too large").with_errno(errno::EFBIG);
        }
        error
    })
}

/// What precedes the reason why a device can't be opened that was to be made into an image.
const NOT_MADE: &str = "Protocol driver 'host_device' does not support creating new images, so an existing image must be selected as the target; however, opening the given target as an existing image failed: ";

/// `host_device`: nothing is made, a device that is there has to be large enough.
fn reuse_device(prepared: &Prepared, environment: &Environment) -> Result<()> {
    let mut tree = prepared.options.clone();
    if let Some(mode) = tree.take_text("preallocation").filter(|mode| mode != "off") {
        return Err(match parse_preallocation(&mode) {
            Some(_) => Error::unsupported(format!("Unsupported preallocation mode '{mode}'")),
            None => invalid_value(&mode),
        });
    }
    let argument = ImageArgument::File {
        name: prepared.path.clone(),
        format: Some("host_device".to_owned()),
    };
    let flags = OpenFlags {
        writable: true,
        ..OpenFlags::default()
    };
    let device =
        open::open_node(&argument, flags, environment).map_err(|error| error.prefixed(NOT_MADE))?;
    let length = device.length()?;
    if take_unsigned(&mut tree, "size") > length {
        return Err(Error::caller("Cannot grow device files"));
    }
    // Whatever image was there is none any more.
    let head = [0; 512];
    let count = usize::try_from(length).map_or(head.len(), |length| length.min(head.len()));
    device.write_at(GuestOffset::ZERO, &head[..count])?;
    close_new(device.as_ref())
}

/// What is written has to be on the disk; character devices have none.
fn close_new(file: &dyn Node) -> Result<()> {
    match file.close() {
        Err(error) if error.errno() == errno::EINVAL => Ok(()),
        other => other,
    }
}

/// A new, empty file, locked as the real tools lock it.
fn create_file(path: &str, attributes: Attributes) -> Result<Arc<File>> {
    let could_not = |error: Error| {
        let device = std::fs::metadata(path).is_ok_and(|facts| {
            facts.file_type().is_char_device() || facts.file_type().is_block_device()
        });
        if device {
            error.prefixed(format!("{NOT_MADE}Could not open '{path}': "))
        } else {
            error.prefixed(format!("Could not create '{path}': "))
        }
    };
    let options = FileOptions {
        writable: true,
        create: true,
        discard: true,
        ..FileOptions::default()
    };
    if path.is_empty() {
        return Err(could_not(Error::bare(errno::ENOENT)));
    }
    let file = Arc::new(File::open_or_create(path, options).map_err(could_not)?);
    file.set_access(Access {
        used: Permissions::WRITE | Permissions::RESIZE,
        unshared: Permissions::RESIZE,
    })?;
    file.resize(0, Preallocation::Off)?;
    if attributes.no_copy_on_write {
        file.set_no_copy_on_write();
    }
    Ok(file)
}

/// What the file itself is to be like.
#[derive(Clone, Copy, Default)]
struct Attributes {
    no_copy_on_write: bool,
}

impl Attributes {
    fn of(prepared: &Prepared) -> Result<Self> {
        let mut tree = prepared.options.clone();
        if take_unsigned(&mut tree, "extent_size_hint") > u64::from(u32::MAX) {
            return Err(Error::caller("Extent size hint is too large"));
        }
        Ok(Self {
            no_copy_on_write: take_on(&mut tree, "nocow")?.unwrap_or(false),
        })
    }
}

/// What `create` says in place of "File too large".
pub(super) fn explain_size(error: Error, format: &str) -> Error {
    // Where the file itself can't be that long, the words of the file say so.
    let fact = std::error::Error::source(&error);
    let told = matches!(fact, Some(fact) if fact.is::<LongerThanAnyDisk>());
    if error.errno() != errno::EFBIG || format == "luks" || told {
        return error;
    }
    let hint = if format == "qcow2" {
        " (try using a larger cluster size)"
    } else {
        ""
    };
    Error::caller(format!(
        "The image size is too large for file format '{format}'{hint}"
    ))
    .with_errno(errno::EFBIG)
}

type KeyResult = Result<Secret>;

/// What will be written; made without touching the file.
enum Plan {
    Raw {
        size: u64,
        preallocation: Preallocation,
    },
    Qcow1(Qcow1CreateOptions),
    Qcow2 {
        options: Box<Qcow2CreateOptions>,
        key: KeyResult,
    },
    Luks {
        size: u64,
        preallocation: Preallocation,
        options: LuksCreateOptions,
        key: Secret,
    },
}

impl Plan {
    fn new(prepared: &Prepared, environment: &Environment) -> Result<Self> {
        let mut tree = prepared.options.clone();
        let size = take_unsigned(&mut tree, "size");
        match prepared.format.as_str() {
            "qcow" => qcow1_plan(size, tree, environment),
            "qcow2" => qcow2_plan(size, tree, environment),
            "luks" => luks_plan(size, tree, environment),
            _ => Ok(Self::Raw {
                size,
                preallocation: file_preallocation(&mut tree)?,
            }),
        }
    }

    /// `header`: the file of a header that lies apart.
    fn run(self, file: &Arc<File>, header: Option<&HostFile>) -> Result<()> {
        let shared: SharedNode = Arc::clone(file) as SharedNode;
        let host = HostFile::new(shared);
        match self {
            Self::Raw {
                size,
                preallocation,
            } => create_raw(file, size, preallocation),
            Self::Qcow1(options) => qcow1::create(&host, &options),
            Self::Qcow2 { options, key } => {
                let key = key.map_err(|error| error.to_string());
                let key = || key.clone().map_err(Error::key);
                let Some(name) = &options.data_file else {
                    return qcow2::create(&host, &options, &key);
                };
                let path = open::creatable_path(name)?;
                create_beside(&path, |data| {
                    qcow2::create_with_data(&host, Some(data), &options, &key)?;
                    write_head(data)
                })
            }
            Self::Luks {
                size,
                preallocation,
                options,
                key,
            } => match header {
                None => Luks::create(&host, size, preallocation, &options, &key),
                Some(header) => {
                    Luks::create_detached(header, &host, size, preallocation, &options, &key)
                }
            },
        }
    }
}

/// Makes an image's second file; it goes away again when the image can't be made.
fn create_beside(path: &str, create: impl FnOnce(&HostFile) -> Result<()>) -> Result<()> {
    let file = create_file(path, Attributes::default())?;
    let device = file.is_device();
    let outcome =
        create(&HostFile::new(Arc::clone(&file) as SharedNode)).and_then(|()| file.close());
    drop(file);
    if outcome.is_err() && !device {
        // The failure is what matters; that nothing could be removed would only hide it.
        let _ = std::fs::remove_file(path);
    }
    outcome
}

fn create_raw(file: &Arc<File>, size: u64, preallocation: Preallocation) -> Result<()> {
    let length = size
        .checked_next_multiple_of(512)
        .filter(|length| i64::try_from(*length).is_ok())
        .ok_or_else(|| Error::bare(errno::EINVAL).prefixed("Could not resize file: "))?;
    if file.is_device() && length <= file.length()? {
        return Ok(());
    }
    file.resize(length, preallocation)?;
    if preallocation == Preallocation::Full {
        return Ok(());
    }
    write_head(&HostFile::new(Arc::clone(file) as SharedNode))
}

fn write_head(file: &HostFile) -> Result<()> {
    let length = file.length()?.min(WRITTEN_HEAD);
    file.write_at(
        HostOffset::ZERO,
        &vec![0; usize::try_from(length).unwrap_or(0)],
    )
}

/// A number that [`super::prepare`] has checked; it is kept as signed text.
fn take_unsigned(tree: &mut OptionTree, name: &str) -> u64 {
    tree.take_text(name)
        .and_then(|text| text.parse::<i64>().ok())
        .map_or(0, i64::cast_unsigned)
}

fn take_on(tree: &mut OptionTree, name: &str) -> Result<Option<bool>> {
    tree.take_text(name)
        .map(|text| parse_switch(name, &text))
        .transpose()
}

fn file_preallocation(tree: &mut OptionTree) -> Result<Preallocation> {
    let Some(text) = tree.take_text("preallocation") else {
        return Ok(Preallocation::Off);
    };
    match parse_preallocation(&text) {
        Some(Preallocation::Metadata) => Err(Error::unsupported(
            "Unsupported preallocation mode: metadata",
        )),
        Some(mode) => Ok(mode),
        None => Err(invalid_value(&text)),
    }
}

fn parse_preallocation(text: &str) -> Option<Preallocation> {
    Some(match text {
        "off" => Preallocation::Off,
        "metadata" => Preallocation::Metadata,
        "falloc" => Preallocation::Falloc,
        "full" => Preallocation::Full,
        _ => return None,
    })
}

fn refused_value(name: &str, value: &str) -> Error {
    Error::caller(format!(
        "Parameter '{name}' does not accept value '{value}'"
    ))
}

/// `encryption=on` is `encrypt.format=aes`, `off` is nothing, and any other word the name of a format.
fn resolve_alias(tree: &mut OptionTree) -> Result<()> {
    let Some(text) = tree.take_text("encryption") else {
        return Ok(());
    };
    if text == "off" {
        return Ok(());
    }
    if tree.lookup("encrypt.format").is_some() {
        return Err(Error::caller(
            "'encrypt.format' and its alias 'encryption' can't be used at the same time",
        ));
    }
    let format = if text == "on" { "aes" } else { &text };
    tree.set("encrypt.format", format);
    Ok(())
}

/// The encryption of a qcow or qcow2 image, and where its key comes from.
fn take_encryption(
    tree: &mut OptionTree,
    environment: &Environment,
) -> Result<(Qcow2Encryption, KeyResult)> {
    let mut below = tree.take_below("encrypt.");
    let required = || Error::key("Parameter 'encrypt.key-secret' is required for cipher");
    if below.is_empty() {
        return Ok((Qcow2Encryption::None, Err(required())));
    }
    let format = below
        .take_text("format")
        .ok_or_else(|| Error::caller("Parameter 'encrypt.format' is missing"))?;
    let key = match below.take_text("key-secret") {
        Some(id) => environment.secrets.passphrase(&id),
        None => Err(required()),
    };
    let encryption = match format.as_str() {
        "aes" | "qcow" => {
            if let Some((name, _)) = below.iter().next() {
                return Err(Error::caller(format!(
                    "Parameter 'encrypt.{name}' is unexpected"
                )));
            }
            Qcow2Encryption::Aes
        }
        "luks" => Qcow2Encryption::Luks(take_luks(&mut below, "encrypt.")?),
        _ => return Err(refused_value("format", &format)),
    };
    Ok((encryption, key))
}

/// Takes what a new LUKS volume is to be like. Of several faults the first in the real tool's order is told.
pub fn take_luks(tree: &mut OptionTree, prefix: &str) -> Result<LuksCreateOptions> {
    let mut options = LuksCreateOptions::default();
    for name in [
        "cipher-alg",
        "cipher-mode",
        "ivgen-alg",
        "ivgen-hash-alg",
        "hash-alg",
        "iter-time",
    ] {
        if let Some(value) = tree.take_text(name) {
            options.set(name, &value, prefix)?;
        }
    }
    if tree.lookup("detached-header").is_some() {
        return Err(Error::caller("Parameter 'detached-header' is unexpected"));
    }
    Ok(options)
}

fn qcow1_plan(size: u64, mut tree: OptionTree, environment: &Environment) -> Result<Plan> {
    resolve_alias(&mut tree)?;
    // The file takes the modes, the format takes no notice of them.
    file_preallocation(&mut tree)?;
    let (encryption, key) = take_encryption(&mut tree, environment)?;
    if size == 0 {
        return Err(CreateError::Empty.into());
    }
    let encrypted = match encryption {
        Qcow2Encryption::None => false,
        Qcow2Encryption::Aes => true,
        Qcow2Encryption::Luks(_) => return Err(Error::caller("Unsupported encryption format")),
    };
    if let Some(format) = tree.take_text("backing_fmt")
        && !open::is_known_driver(&format)
    {
        return Err(Error::caller(format!(
            "unrecognized backing format '{format}'"
        )));
    }
    Ok(Plan::Qcow1(Qcow1CreateOptions {
        size,
        backing: tree.take_text("backing_file"),
        encrypted,
        key: if encrypted { Some(key?) } else { None },
    }))
}

fn check_backing_format(format: &str) -> Result<()> {
    if open::is_known_driver(format) {
        Ok(())
    } else {
        Err(refused_value("backing-fmt", format))
    }
}

/// A disk is counted in sectors, by a signed number that leaves room for one more request.
fn refuse_endless(size: u64) -> Result<()> {
    match size.checked_next_multiple_of(512) {
        Some(length) if i64::try_from(length).is_ok() => {
            check_node_length(length).map_err(|error| error.prefixed("Could not resize image: "))
        }
        _ => Err(Error::caller(
            "Could not resize image: Image size cannot be negative",
        )),
    }
}

fn qcow2_plan(size: u64, mut tree: OptionTree, environment: &Environment) -> Result<Plan> {
    resolve_alias(&mut tree)?;
    let version = match tree.take_text("compat").as_deref() {
        None | Some("1.1" | "v3") => 3,
        Some("0.10" | "v2") => 2,
        Some(other) => return Err(refused_value("version", other)),
    };
    let backing_format = tree.take_text("backing_fmt");
    if let Some(format) = &backing_format {
        check_backing_format(format)?;
    }
    let (encryption, key) = take_encryption(&mut tree, environment)?;
    let preallocation = match tree.take_text("preallocation") {
        None => Preallocation::Off,
        Some(text) => {
            parse_preallocation(&text).ok_or_else(|| refused_value("preallocation", &text))?
        }
    };
    let compression_type = match tree.take_text("compression_type").as_deref() {
        None | Some("zlib") => CompressionType::Zlib,
        Some("zstd") => CompressionType::Zstd,
        Some(other) => return Err(refused_value("compression-type", other)),
    };
    refuse_endless(size)?;
    let options = Qcow2CreateOptions {
        size,
        version,
        cluster_size: take_unsigned(&mut tree, "cluster_size"),
        refcount_bits: take_unsigned(&mut tree, "refcount_bits"),
        backing_file: tree.take_text("backing_file"),
        backing_format,
        preallocation,
        lazy_refcounts: take_on(&mut tree, "lazy_refcounts")?.unwrap_or(false),
        compression_type,
        extended_l2: take_on(&mut tree, "extended_l2")?.unwrap_or(false),
        data_file: tree.take_text("data_file"),
        data_file_raw: take_on(&mut tree, "data_file_raw")?.unwrap_or(false),
        encryption,
    };
    Ok(Plan::Qcow2 {
        options: Box::new(options),
        key,
    })
}

fn luks_plan(size: u64, mut tree: OptionTree, environment: &Environment) -> Result<Plan> {
    let preallocation = match tree.take_text("preallocation") {
        None => Preallocation::Off,
        Some(text) => parse_preallocation(&text).ok_or_else(|| invalid_value(&text))?,
    };
    let options = take_luks(&mut tree, "")?;
    let key = tree
        .take_text("key-secret")
        .ok_or_else(|| Error::key("Parameter 'key-secret' is required for cipher"))?;
    Ok(Plan::Luks {
        size,
        preallocation,
        options,
        key: environment.secrets.passphrase(&key)?,
    })
}
