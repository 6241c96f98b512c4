//! `open`, `close`, `reopen`, and the options that they share with the command line.

use super::command::{Complaint, Outcome};
use super::overlay;
use super::session::Session;
use super::words::Options;
use crate::base::{Error, Result};
use crate::graph::Environment;
use crate::graph::open::open_node;
use crate::graph::options::parse_options;
use crate::graph::options::values::text_of;
use crate::graph::{CacheMode, ImageArgument, OpenFlags, OptionTree};
use crate::node::SharedNode;

/// What is open, and how it can be opened again.
pub(super) struct OpenImage {
    pub(super) node: SharedNode,
    argument: ImageArgument,
    flags: OpenFlags,
}

impl OpenImage {
    /// Whether each write waits for the disk itself.
    pub(super) const fn writes_through(&self) -> bool {
        matches!(
            self.flags.cache,
            CacheMode::Writethrough | CacheMode::Directsync
        )
    }
}

/// The switches of `open` and of the command line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Switches {
    pub(super) flags: OpenFlags,
}

impl Switches {
    pub(super) fn new() -> Self {
        Self {
            flags: OpenFlags {
                writable: true,
                // Unlike qemu-img's, this default is to let discards through.
                discard_unmap: true,
                cache: CacheMode::Writethrough,
                ..OpenFlags::default()
            },
        }
    }

    /// Takes one letter; the same on the command line and in `open`.
    pub(super) fn take(&mut self, letter: char, value: &str) -> Result<()> {
        match letter {
            'r' => self.flags.writable = false,
            's' => self.flags.temporary_overlay = true,
            'C' => self.flags.copy_on_read = true,
            'U' => self.flags.force_share = true,
            'n' => self.flags.cache = CacheMode::None,
            't' => self.flags.cache = cache_mode(value)?,
            'd' => self.flags.discard_unmap = discard_mode(value)?,
            'k' => self.flags.native_aio = true,
            'i' => {
                self.flags.native_aio = match value {
                    "native" => true,
                    "threads" | "io_uring" => false,
                    _ => return Err(Error::caller(format!("Invalid aio option: {value}"))),
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What can't go together, in the words of an open that fails.
    fn refuse_contradiction(self) -> Result<()> {
        if self.flags.copy_on_read && !self.flags.writable {
            Err(Error::caller("Can't use copy-on-read on read-only device"))
        } else {
            Ok(())
        }
    }
}

fn cache_mode(name: &str) -> Result<CacheMode> {
    Ok(match name {
        "none" | "off" => CacheMode::None,
        "directsync" => CacheMode::Directsync,
        "writeback" => CacheMode::Writeback,
        "unsafe" => CacheMode::Unsafe,
        "writethrough" => CacheMode::Writethrough,
        _ => return Err(Error::caller(format!("Invalid cache option: {name}"))),
    })
}

fn discard_mode(name: &str) -> Result<bool> {
    match name {
        "ignore" | "off" => Ok(false),
        "unmap" | "on" => Ok(true),
        _ => Err(Error::caller(format!("Invalid discard option: {name}"))),
    }
}

/// Opens an image, below a temporary one when it must not be changed.
fn open_layered(
    argument: &ImageArgument,
    mut flags: OpenFlags,
    environment: &Environment,
) -> Result<SharedNode> {
    if !flags.temporary_overlay || !flags.writable {
        return open_node(argument, flags, environment);
    }
    flags.writable = false;
    flags.temporary_overlay = false;
    overlay::temporary(open_node(argument, flags, environment)?)
}

impl Session {
    /// The tree of an option text, its warnings said.
    pub(super) fn options(&self, text: &str) -> OptionTree {
        let parsed = parse_options(text, None);
        for warning in &parsed.warnings {
            self.environment.notices.say(warning);
        }
        parsed.tree
    }

    /// Opens an image as the one that commands work on.
    pub(super) fn open_image(&mut self, argument: ImageArgument, switches: Switches) -> Result<()> {
        if self.image.is_some() {
            return Err(Error::caller("file open already, try 'help close'"));
        }
        if let ImageArgument::Options(tree) | ImageArgument::Named { options: tree, .. } = &argument
            && switches.flags.force_share
            && tree
                .lookup("force-share")
                .is_some_and(|given| given.as_str() != Some("on"))
        {
            return Err(Error::caller("-U conflicts with image options"));
        }
        let opened = switches
            .refuse_contradiction()
            .and_then(|()| open_layered(&argument, switches.flags, &self.environment));
        let node = opened.map_err(|error| match &argument {
            ImageArgument::Options(_) => error.prefixed("can't open: "),
            ImageArgument::File { name, .. }
            | ImageArgument::Created { name, .. }
            | ImageArgument::Named { name, .. } => {
                error.prefixed(format!("can't open device {name}: "))
            }
        })?;
        self.copy_on_read = switches.flags.copy_on_read;
        self.image = Some(OpenImage {
            node,
            argument,
            flags: switches.flags,
        });
        Ok(())
    }

    /// Waits for requests, then closes.
    pub(super) fn close_image(&mut self) {
        self.drain();
        if let Some(image) = self.image.take() {
            // The real tool has nothing to say here either.
            let _ = image.node.close();
        }
    }
}

pub(super) fn open(session: &mut Session, words: &[&str]) -> Outcome {
    let mut switches = Switches::new();
    let mut tree: Option<OptionTree> = None;
    let mut options = Options::new(words, "snCro:ki:t:d:U");
    while let Some((letter, value)) = options.advance()? {
        if letter == 'o' && session.image_opts {
            let words = "--image-opts and 'open -o' are mutually exclusive";
            return Err(Complaint::Output(words.to_owned()));
        }
        if letter == 'o' {
            let given = session.options(value);
            match &mut tree {
                Some(tree) => tree.merge(given),
                None => tree = Some(given),
            }
        } else {
            switches.take(letter, value)?;
        }
    }
    let argument = match (options.operands.as_slice(), tree) {
        ([text], None) if session.image_opts => ImageArgument::Options(session.options(text)),
        ([name], None) => ImageArgument::File {
            name: (*name).to_owned(),
            format: None,
        },
        ([name], Some(options)) => ImageArgument::Named {
            name: (*name).to_owned(),
            options,
        },
        ([], tree) => ImageArgument::Options(tree.unwrap_or_default()),
        _ => return Err(Complaint::Usage),
    };
    session.open_image(argument, switches)?;
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of a command")]
pub(super) fn close(session: &mut Session, _: &[&str]) -> Outcome {
    session.close_image();
    Ok(())
}

/// What `reopen` shall change.
#[derive(Default)]
struct Changes {
    writable: Option<bool>,
    cache: Option<CacheMode>,
    options: OptionTree,
}

fn changes(session: &Session, words: &[&str]) -> Result<Changes, Complaint> {
    let mut changes = Changes::default();
    let mut options = Options::new(words, "c:o:rw");
    while let Some((letter, value)) = options.advance()? {
        match letter {
            'c' => changes.cache = Some(cache_mode(value)?),
            'o' => changes.options.merge(session.options(value)),
            _ if changes.writable.is_some() => {
                return Err(Error::caller("Only one -r/-w option may be given").into());
            }
            _ => changes.writable = Some(letter == 'w'),
        }
    }
    if !options.operands.is_empty() {
        return Err(Complaint::Usage);
    }
    for (given, words, names) in [
        (
            changes.writable.is_some(),
            "Cannot set both -r/-w and 'read-only'",
            &["read-only"][..],
        ),
        (
            changes.cache.is_some(),
            "Cannot set both -c and the cache options",
            &["cache.direct", "cache.no-flush"],
        ),
    ] {
        if given
            && names
                .iter()
                .any(|name| changes.options.lookup(name).is_some())
        {
            return Err(Error::caller(words).into());
        }
    }
    Ok(changes)
}

/// What the real tools call a node that nobody named; its number differs each time.
const NODE_NAME: &str = "#block100";

/// What an open image can't become.
fn refuse_changes(image: &OpenImage, changes: &Changes) -> Result<()> {
    let given = |name: &str| changes.options.lookup(name).and_then(text_of);
    let unchangeable = |name: &str| Error::caller(format!("Cannot change the option '{name}'"));
    if given("driver").is_some_and(|driver| driver != image.node.driver()) {
        return Err(unchangeable("driver"));
    }
    let now = |name: &str| match &image.argument {
        ImageArgument::File { name: file, .. } | ImageArgument::Named { name: file, .. }
            if name.ends_with("filename") =>
        {
            Some(file.clone())
        }
        ImageArgument::Options(tree) | ImageArgument::Named { options: tree, .. } => {
            tree.lookup(name).and_then(text_of)
        }
        _ => None,
    };
    let changed = |name: &str| given(name).is_some() && given(name) != now(name);
    let luks = image.node.driver() == "luks";
    let named: &[&str] = if luks {
        &["key-secret", "node-name", "force-share"]
    } else {
        &["node-name", "force-share"]
    };
    let protocol = match image.node.driver() {
        "file" => "",
        _ => "file.",
    };
    let file = image.node.file();
    let file_driver = file.as_ref().map(|file| file.driver());
    if given("file.driver").is_some_and(|driver| Some(driver.as_str()) != file_driver) {
        return Err(unchangeable("driver"));
    }
    let of_the_file = ["filename", "locking", "aio", "node-name"];
    if let Some(name) = named.iter().find(|name| changed(name)) {
        return Err(unchangeable(name));
    }
    if let Some(name) = of_the_file
        .iter()
        .find(|name| changed(&format!("{protocol}{name}")))
    {
        return Err(unchangeable(name));
    }
    let nothing_below = image.node.backing().is_none();
    let below = |name: &str| {
        (nothing_below && name.starts_with("backing."))
            || (name == "data-file" && image.node.data_file().is_none())
            || (image.node.driver() == "qcow" && name.starts_with("encrypt."))
    };
    if let Some((name, _)) = changes.options.iter().find(|(name, _)| below(name)) {
        return Err(unchangeable(name));
    }
    if let Some(node) = given("backing").or_else(|| given("file")) {
        return Err(Error::caller(format!(
            "Cannot find device='' nor node-name='{node}'"
        )));
    }
    let read_only = ["read-only", "file.read-only"];
    if image.flags.writable
        && read_only
            .iter()
            .any(|name| given(name).as_deref() == Some("on"))
    {
        return Err(Error::caller(format!(
            "Read-only block node '{NODE_NAME}' cannot support read-write users"
        )));
    }
    Ok(())
}

/// The image is closed and opened again with what changes; when that fails, as it was.
pub(super) fn reopen(session: &mut Session, words: &[&str]) -> Outcome {
    let mut changes = changes(session, words)?;
    session.drain();
    let Some(image) = session.image.take() else {
        return Err(Complaint::Said);
    };
    if let Err(error) = refuse_changes(&image, &changes) {
        session.image = Some(image);
        return Err(error.into());
    }
    // The same name as before: nothing to change.
    drop(changes.options.take_text("file.filename"));
    let mut flags = image.flags;
    flags.writable = changes.writable.unwrap_or(flags.writable);
    flags.cache = changes.cache.unwrap_or(flags.cache);
    if changes.writable == Some(true) {
        // Nobody asks for shared use again.
        flags.force_share = false;
    }
    if changes.writable == Some(false)
        && image.flags.writable
        && let Some(words) = stays_writable(image.flags)
    {
        session.image = Some(image);
        return Err(Error::caller(words).into());
    }
    // The content of a temporary image would be lost.
    let unchanged = flags == image.flags && changes.options.is_empty();
    if unchanged || image.flags.temporary_overlay {
        session.image = Some(image);
        return Ok(());
    }
    let mut argument = with_options(&image.argument, &changes.options);
    match changes.options.lookup("read-only").and_then(text_of) {
        Some(text) => flags.writable = text != "on",
        None if changes.writable.is_some() => forget_read_only(&mut argument),
        None => {}
    }
    let old = (image.argument, image.flags);
    image.node.flush()?;
    image.node.close()?;
    drop(image.node);
    match open_node(&argument, flags, &session.environment) {
        Ok(node) => {
            session.image = Some(OpenImage {
                node,
                argument,
                flags,
            });
            Ok(())
        }
        Err(error) => {
            let (argument, flags) = old;
            let node = open_node(&argument, flags, &session.environment)?;
            session.image = Some(OpenImage {
                node,
                argument,
                flags,
            });
            Err(refusal(error).into())
        }
    }
}

/// Why an image can't become read-only.
fn stays_writable(flags: OpenFlags) -> Option<String> {
    if flags.temporary_overlay {
        let directory = overlay::directory();
        Some(format!(
            "Could not open '{}/vl.XXXXXX': No such file or directory",
            directory.display()
        ))
    } else if flags.copy_on_read {
        Some(format!(
            "Can't set node '{NODE_NAME}' to r/o with copy-on-read enabled"
        ))
    } else {
        None
    }
}

/// `-r` and `-w` count for more than what was said before.
fn forget_read_only(argument: &mut ImageArgument) {
    if let ImageArgument::Options(tree) | ImageArgument::Named { options: tree, .. } = argument {
        drop(tree.take_text("read-only"));
    }
}

/// The same image with more options.
fn with_options(argument: &ImageArgument, changed: &OptionTree) -> ImageArgument {
    if changed.is_empty() {
        return argument.clone();
    }
    let (name, mut options) = match argument.clone() {
        ImageArgument::Options(mut tree) => {
            tree.merge(changed.clone());
            return ImageArgument::Options(tree);
        }
        ImageArgument::File { name, format } => {
            let mut options = OptionTree::default();
            if let Some(format) = format {
                options.set("driver", format);
            }
            (name, options)
        }
        ImageArgument::Created {
            name,
            format,
            mut options,
        } => {
            options.set("driver", format);
            (name, options)
        }
        ImageArgument::Named { name, options } => (name, options),
    };
    options.merge(changed.clone());
    ImageArgument::Named { name, options }
}

/// An open that knows no such option is, to `reopen`, an option that can't be changed.
fn refusal(error: Error) -> Error {
    let words = error.to_string();
    let known = words
        .split_once("does not support the option '")
        .or_else(|| words.split_once("doesn't support the option '"));
    match known {
        Some((_, rest)) => Error::caller(format!("Cannot change the option '{rest}")),
        None => error,
    }
}
