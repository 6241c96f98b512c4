//! The recursion: a name or a tree becomes a node, with what lies below it.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::backing::BackingOptions;
use super::{CacheMode, OpenFlags};
use super::{backing, blkdebug, filters, formats, probe, protocol, several};
use crate::base::error::errno;
use crate::base::{Error, Result};
use crate::driver::detect_zeroes::DetectZeroes;
use crate::graph::{Environment, OptionTree};
use crate::node::{Access, SharedNode, ZeroFlags};

/// What is being opened: `name` as a user or a header gave it, `tree` the options.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    pub(super) name: Option<String>,
    pub(super) tree: OptionTree,
}

/// The switches of one node; children inherit them.
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
#[derive(Clone, Copy, Debug)]
pub(super) struct NodeFlags {
    pub(super) writable: bool,
    pub(super) no_io: bool,
    pub(super) check: bool,
    pub(super) no_backing: bool,
    pub(super) force_share: bool,
    pub(super) direct: bool,
    pub(super) no_flush: bool,
    pub(super) native_aio: bool,
    pub(super) discard: bool,
    /// The layer that many steps below is opened for writing; 0: none.
    pub(super) writable_backing: usize,
    /// `detect-zeroes`: how zeros that are written as data are written instead.
    pub(super) zeroes: Option<ZeroFlags>,
    /// The node stores another one's image: it grows where it may.
    pub(super) storage: bool,
    /// A layer below the top: nobody is warned that its format was probed.
    pub(super) backing: bool,
    /// Opened for reading by somebody who is about to write: warned as for writing.
    pub(super) about_to_write: bool,
    /// How many more nodes may be opened below this one.
    pub(super) depth_left: usize,
}

impl NodeFlags {
    pub(super) fn of(flags: OpenFlags, depth_left: usize) -> Self {
        Self {
            writable: flags.writable,
            no_io: flags.no_io,
            check: flags.check,
            no_backing: flags.no_backing,
            force_share: flags.force_share,
            direct: matches!(flags.cache, CacheMode::None | CacheMode::Directsync),
            no_flush: flags.cache == CacheMode::Unsafe,
            native_aio: flags.native_aio,
            discard: flags.discard_unmap,
            writable_backing: flags.writable_backing,
            zeroes: None,
            storage: false,
            backing: false,
            about_to_write: flags.about_to_write,
            depth_left,
        }
    }

    /// The switches of the node that stores an image.
    pub(super) const fn for_file(mut self) -> Self {
        // The driver above decides what it discards: its file always may.
        self.discard = true;
        self.storage = true;
        self.zeroes = None;
        self.no_backing = false;
        self.check = false;
        self.writable_backing = 0;
        self.depth_left = self.depth_left.saturating_sub(1);
        self
    }
}

/// One open, with what all its nodes share.
pub(super) struct Opener<'a> {
    pub(super) environment: &'a Environment,
    /// The names that nodes were given, and the nodes, once they are open.
    names: Mutex<BTreeMap<String, Option<SharedNode>>>,
}

/// A node that is open but for its backing file.
pub(super) struct Layer {
    pub(super) node: SharedNode,
    /// What the tree says about the backing file.
    pub(super) backing: BackingOptions,
    pub(super) flags: NodeFlags,
}

impl<'a> Opener<'a> {
    pub(super) fn new(environment: &'a Environment) -> Self {
        Self {
            environment,
            names: Mutex::default(),
        }
    }

    /// The node of that name.
    pub(super) fn named(&self, name: &str) -> Option<SharedNode> {
        self.names.lock().get(name).cloned().flatten()
    }

    /// Opens whatever `request` names, with its backing chain; `access` is what the node's user does with it.
    pub(super) fn open(
        &self,
        request: Request,
        flags: NodeFlags,
        access: Access,
    ) -> Result<SharedNode> {
        let top = self.open_layer(request, flags, access)?;
        let node = SharedNode::clone(&top.node);
        if !flags.no_backing {
            backing::open_chain(self, top)?;
        }
        Ok(node)
    }

    /// Opens one node without its backing file.
    pub(super) fn open_layer(
        &self,
        request: Request,
        flags: NodeFlags,
        access: Access,
    ) -> Result<Layer> {
        let (mut layer, name) = self.open_plain_layer(request, flags, access)?;
        if let Some(flags) = layer.flags.zeroes.filter(|_| layer.node.writable()) {
            layer.node = Arc::new(DetectZeroes::new(layer.node, flags));
        }
        if let Some(name) = name {
            let node = SharedNode::clone(&layer.node);
            self.names.lock().insert(name, Some(node));
        }
        Ok(layer)
    }

    fn open_plain_layer(
        &self,
        mut request: Request,
        mut flags: NodeFlags,
        access: Access,
    ) -> Result<(Layer, Option<String>)> {
        if flags.depth_left == 0 {
            return Err(Error::caller("Too many images are nested in each other"));
        }
        if let Some(text) = request
            .name
            .as_deref()
            .and_then(|name| name.strip_prefix("json:"))
        {
            let tree = OptionTree::from_json_name(text)?;
            request.tree.merge_missing(tree);
            request.name = None;
        }
        let name = self.take_name(&mut request.tree)?;
        let wanted = flags.writable;
        take_common(&mut request.tree, &mut flags)?;
        let opened = self.open_driver(request, flags, access)?;
        if wanted && !flags.writable {
            return Err(Error::caller("Block node is read-only").with_errno(errno::EACCES));
        }
        Ok((opened, name))
    }

    fn open_driver(&self, mut request: Request, flags: NodeFlags, access: Access) -> Result<Layer> {
        let driver = match request.tree.lookup("driver") {
            Some(serde_json::Value::String(_)) => request.tree.take_text("driver"),
            _ => None,
        };
        if let Some(driver) = &driver {
            if let Some(node) = self.open_filter(driver, &mut request, flags)? {
                node.set_access(access)?;
                let backing = BackingOptions::nothing();
                return Ok(Layer {
                    node,
                    backing,
                    flags,
                });
            }
            if let Some(kind) = protocol::Protocol::by_name(driver) {
                let node = protocol::open(kind, request, flags)?;
                node.set_access(access)?;
                let backing = BackingOptions::nothing();
                return Ok(Layer {
                    node,
                    backing,
                    flags,
                });
            }
            if formats::Format::by_name(driver).is_none() {
                return Err(Error::caller(format!("Unknown driver '{driver}'")));
            }
        }
        self.open_format(driver.as_deref(), request, flags, access)
    }

    fn open_format(
        &self,
        driver: Option<&str>,
        mut request: Request,
        flags: NodeFlags,
        access: Access,
    ) -> Result<Layer> {
        let shown = request.name.clone();
        let file = self.open_file_child(driver, &mut request, flags)?;
        let given = driver.and_then(formats::Format::by_name);
        let format = match given {
            Some(format) => format,
            None => probe::probe(&file)?,
        };
        let backing = BackingOptions::take(
            &mut request.tree,
            flags.no_backing,
            &self.environment.notices,
        );
        let context = formats::Context {
            shown,
            probed: given.is_none(),
            flags,
            access,
        };
        let node = formats::open(self, format, file, request.tree, &context)?;
        if backing.is_given() && !format.has_backing() {
            return Err(Error::unsupported("Driver doesn't support backing files"));
        }
        Ok(Layer {
            node,
            backing,
            flags,
        })
    }

    /// `node-name`: well-formed, and nobody else's.
    fn take_name(&self, tree: &mut OptionTree) -> Result<Option<String>> {
        let Some(name) = tree.take_text("node-name") else {
            return Ok(None);
        };
        let mut characters = name.chars();
        let well_formed = characters.next().is_some_and(|c| c.is_ascii_alphabetic())
            && characters.all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
        if !well_formed {
            return Err(Error::caller(format!("Invalid node-name: '{name}'")));
        }
        if name.len() > NODE_NAME_MAX {
            return Err(Error::caller("Node name too long"));
        }
        if self.names.lock().contains_key(&name) {
            return Err(Error::caller(format!(
                "Duplicate nodes with node-name='{name}'"
            )));
        }
        self.names.lock().insert(name.clone(), None);
        Ok(Some(name))
    }

    /// The node that stores the image.
    fn open_file_child(
        &self,
        driver: Option<&str>,
        request: &mut Request,
        flags: NodeFlags,
    ) -> Result<SharedNode> {
        if let Some(name) = request.name.take() {
            let below = request.tree.take_below("file.");
            if let Some(serde_json::Value::String(_)) = request.tree.lookup("file") {
                return Err(Error::caller(
                    "Cannot reference an existing block device with additional options or a new filename",
                ));
            }
            return self.open_named_child(name, below, flags);
        }
        let nothing = request.tree.lookup("file").is_none()
            && !request
                .tree
                .iter()
                .any(|(name, _)| name.starts_with("file."));
        if nothing && driver.is_none() {
            return Err(Error::caller("Must specify either driver or file"));
        }
        self.open_required(&mut request.tree, "file", flags)
    }

    /// The image of that name below this node, whatever its format.
    pub(super) fn open_probed(&self, name: String, flags: NodeFlags) -> Result<SharedNode> {
        let request = Request {
            name: Some(name),
            tree: OptionTree::default(),
        };
        self.open(request, flags.for_file(), Access::default())
    }

    /// The node below that a bare name stands for, with the options that `file.…` gives besides.
    pub(super) fn open_named_child(
        &self,
        name: String,
        mut tree: OptionTree,
        flags: NodeFlags,
    ) -> Result<SharedNode> {
        if tree.is_empty() {
            return self.open_protocol(&name, flags);
        }
        if tree.lookup("filename").is_some() {
            return Err(Error::caller(
                "Can't specify 'file' and 'filename' options at the same time",
            ));
        }
        if tree.lookup("driver").is_none() {
            let protocol =
                protocol::protocol_prefix(&name).map_or("file", |(protocol, _)| protocol);
            tree.set("driver", protocol);
        }
        let request = Request {
            name: Some(name),
            tree,
        };
        self.open(request, flags.for_file(), Access::default())
    }

    /// The protocol node that a bare name stands for, one level below.
    pub(super) fn open_protocol(&self, name: &str, flags: NodeFlags) -> Result<SharedNode> {
        let flags = flags.for_file();
        if flags.depth_left == 0 {
            return Err(Error::caller("Too many images are nested in each other"));
        }
        match protocol::protocol_prefix(name) {
            Some(("blkdebug", rest)) => blkdebug::open_named(self, rest, flags),
            Some(("blkverify", rest)) => several::open_blkverify_named(self, rest, flags),
            _ => protocol::open_named(name, flags),
        }
    }

    /// The filter node of that driver, with what lies below it; `None` when the driver is no filter.
    fn open_filter(
        &self,
        driver: &str,
        request: &mut Request,
        flags: NodeFlags,
    ) -> Result<Option<SharedNode>> {
        let name = request.name.as_deref().and_then(protocol::protocol_prefix);
        let takes_file =
            filters::Kind::by_name(driver).is_some() || matches!(driver, "blklogwrites" | "quorum");
        let file = match &request.name {
            // A bare name is that of the file below, which is opened before anything else is looked at.
            Some(name) if takes_file => {
                let below = request.tree.take_below("file.");
                Some(self.open_named_child(name.clone(), below, flags)?)
            }
            _ => None,
        };
        Ok(Some(match (driver, name) {
            ("blkdebug", Some(("blkdebug", rest))) => blkdebug::open_named(self, rest, flags)?,
            ("blkdebug", None) if request.name.is_some() => {
                let mut tree = std::mem::take(&mut request.tree);
                tree.set("x-image", request.name.take().unwrap_or_default());
                blkdebug::open(self, tree, flags)?
            }
            ("blkdebug", _) => blkdebug::open(self, std::mem::take(&mut request.tree), flags)?,
            ("blkverify", Some(("blkverify", rest))) => {
                several::open_blkverify_named(self, rest, flags)?
            }
            ("blkverify", _) => {
                several::open_blkverify(self, std::mem::take(&mut request.tree), flags)?
            }
            ("blklogwrites", _) => {
                several::open_blklogwrites(self, std::mem::take(&mut request.tree), file, flags)?
            }
            ("quorum", _) => several::open_quorum(self, std::mem::take(&mut request.tree), flags)?,
            _ => match filters::Kind::by_name(driver) {
                Some(kind) => {
                    filters::open(self, kind, std::mem::take(&mut request.tree), file, flags)?
                }
                None => return Ok(None),
            },
        }))
    }

    /// The child that `NAME.…` describes; there has to be one.
    pub(super) fn open_required(
        &self,
        tree: &mut OptionTree,
        child: &str,
        flags: NodeFlags,
    ) -> Result<SharedNode> {
        let below = tree.take_below(&format!("{child}."));
        if let Some(serde_json::Value::String(reference)) = tree.lookup(child) {
            return Err(if below.is_empty() {
                Error::caller(format!(
                    "Cannot find device='{reference}' nor node-name='{reference}'"
                ))
            } else {
                Error::caller(
                    "Cannot reference an existing block device with additional options or a new filename",
                )
            });
        }
        if below.is_empty() {
            return Err(Error::caller(format!(
                "A block device must be specified for \"{child}\""
            )));
        }
        self.open_child(below, flags)
    }

    /// A node that is described by options below a name of its own (`file.…`, `header.…`).
    pub(super) fn open_child(&self, mut tree: OptionTree, flags: NodeFlags) -> Result<SharedNode> {
        // A file name without a driver is a host file's, whatever it looks like.
        let filename = tree.lookup("filename");
        if tree.lookup("driver").is_none() && filename.is_some_and(serde_json::Value::is_string) {
            tree.set("driver", "file");
        }
        self.open(
            Request { name: None, tree },
            flags.for_file(),
            Access::default(),
        )
    }
}

/// The most characters of a node's name.
const NODE_NAME_MAX: usize = 31;

/// Options that every node has.
fn take_common(tree: &mut OptionTree, flags: &mut NodeFlags) -> Result<()> {
    if tree.take_switch("force-share")? == Some(true) {
        flags.force_share = true;
    }
    match tree.take_switch("read-only")? {
        // Who wants to write is told so once it is open.
        Some(true) => flags.writable = false,
        Some(false) if !flags.storage => flags.writable = true,
        _ => {}
    }
    if flags.force_share && flags.writable {
        return Err(Error::caller(
            "force-share=on can only be used with read-only images",
        ));
    }
    tree.take_switch("auto-read-only")?;
    if let Some(direct) = tree.take_switch("cache.direct")? {
        flags.direct = direct;
    }
    if let Some(no_flush) = tree.take_switch("cache.no-flush")? {
        flags.no_flush = no_flush;
    }
    if let Some(discard) = tree.take_text("discard") {
        flags.discard = match discard.as_str() {
            "unmap" | "on" => true,
            "ignore" | "off" => false,
            _ => return Err(Error::caller("Invalid discard option")),
        };
    }
    flags.zeroes = match tree.take_choice("detect-zeroes", &["off", "on", "unmap"])? {
        Some(2) if !flags.discard => {
            return Err(Error::caller(
                "setting detect-zeroes to unmap is not allowed without setting discard operation to unmap",
            ));
        }
        Some(1) => Some(ZeroFlags::empty()),
        Some(2) => Some(ZeroFlags::MAY_UNMAP),
        _ => None,
    };
    Ok(())
}

/// What a driver says that failed without words of its own.
pub(super) fn with_words(error: Error, filename: &str) -> Error {
    error.prefixed_when_bare(format!("Could not open '{filename}': "))
}
