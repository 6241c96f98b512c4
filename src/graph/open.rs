//! Opening an image: from an argument to a node with its backing chain.

mod backing;
mod blkdebug;
mod filters;
mod formats;
mod opener;
mod overlay;
mod probe;
mod protocol;
mod qcow2_options;
mod several;
mod shown;

pub use self::backing::resolve_against;
pub use self::formats::DRIVERS;
pub(crate) use self::formats::is_known_driver;
use self::opener::{NodeFlags, Opener, Request};
pub(crate) use self::protocol::{check_target, creatable_path};
use std::sync::Arc;

use super::{Environment, OptionTree};
use crate::base::Result;
use crate::base::limits::MAX_CHAIN_DEPTH;
use crate::driver::copy_on_read::CopyOnRead;
use crate::driver::writethrough::Writethrough;
use crate::node::{Access, Permissions, SharedNode};

/// How an argument names an image.
#[derive(Clone, Debug)]
pub enum ImageArgument {
    /// A file name (or `json:{…}`), with the format when the user gave one (`-f`).
    File {
        /// The name as given.
        name: String,
        /// `-f FMT`; `None` probes.
        format: Option<String>,
    },
    /// `--image-opts`: a tree.
    Options(OptionTree),
    /// A file name with its format and run-time options on top: the target that `convert` has just created, whose
    /// `encrypt.key-secret` came with `-o`. Messages show the name, as for `File`.
    Created {
        /// The name as given.
        name: String,
        /// Its format.
        format: String,
        /// Options that the driver gets besides (`encrypt.key-secret`, `key-secret`).
        options: OptionTree,
    },
    /// A file name with options on top (`qemu-io`'s `open -o`, `reopen -o`); the format is probed unless they name it.
    Named {
        /// The name as given.
        name: String,
        /// Options that the driver gets besides.
        options: OptionTree,
    },
}

/// `-t`, `-T`: what a write has reached when it returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheMode {
    /// Host page cache bypassed (`O_DIRECT`), flushes honoured.
    None,
    /// Page cache, flushes honoured.
    #[default]
    Writeback,
    /// Page cache, a flush after every write.
    Writethrough,
    /// Bypassed, a flush after every write.
    Directsync,
    /// Page cache, flushes ignored: for scratch and convert targets.
    Unsafe,
}

/// How an image is opened.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of the command line"
)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenFlags {
    /// Read and write.
    pub writable: bool,
    /// No data I/O will follow (`info`): no key is needed.
    pub no_io: bool,
    /// Opened by `check`: some damage is tolerated.
    pub check: bool,
    /// Don't open the backing chain.
    pub no_backing: bool,
    /// The layer that many steps below the top is opened for writing too (`commit` writes its base); 0: none.
    pub writable_backing: usize,
    /// `-U`: take no lock that another user would mind.
    pub force_share: bool,
    /// Opened for reading by somebody who is about to write: warned as for writing.
    pub about_to_write: bool,
    /// Nobody else may write meanwhile, even to formats without metadata (source of `convert`).
    pub unshared: bool,
    /// Cache mode.
    pub cache: CacheMode,
    /// `aio=native` for the files, unless their options say something else: refused with the page cache.
    pub native_aio: bool,
    /// Discards reach the file (`discard=unmap`).
    pub discard_unmap: bool,
    /// `qemu-io -s`: writes go to a temporary overlay.
    pub temporary_overlay: bool,
    /// `qemu-io -C`: reads from the backing chain are written to the top.
    pub copy_on_read: bool,
}

/// Opens an image with its backing chain.
///
/// The error's words are complete but for the program name: `Could not open 'x': …`. With options instead of a
/// name there is no `x` to show: the words come without that prefix.
pub fn open(
    image: &ImageArgument,
    flags: OpenFlags,
    environment: &Environment,
) -> Result<SharedNode> {
    open_node(image, flags, environment).map_err(|error| match image {
        ImageArgument::File { name, .. }
        | ImageArgument::Created { name, .. }
        | ImageArgument::Named { name, .. } => error.prefixed(format!("Could not open '{name}': ")),
        ImageArgument::Options(_) => error,
    })
}

/// [`open`] without the prefix, for tools that have their own (`can't open device x: …`).
pub fn open_node(
    image: &ImageArgument,
    flags: OpenFlags,
    environment: &Environment,
) -> Result<SharedNode> {
    let request = match image {
        ImageArgument::File { name, format } => {
            let mut tree = OptionTree::default();
            if let Some(format) = format {
                tree.set("driver", format.as_str());
            }
            Request {
                name: Some(name.clone()),
                tree,
            }
        }
        ImageArgument::Created {
            name,
            format,
            options,
        } => {
            let mut tree = options.clone();
            tree.set("driver", format.as_str());
            Request {
                name: Some(name.clone()),
                tree,
            }
        }
        ImageArgument::Named { name, options } => Request {
            name: Some(name.clone()),
            tree: options.clone(),
        },
        ImageArgument::Options(tree) => Request {
            name: None,
            tree: tree.clone(),
        },
    };
    let opener = Opener::new(environment);
    let mut node_flags = flags;
    // What lies below a temporary overlay is only read.
    node_flags.writable &= !flags.temporary_overlay;
    let node = opener.open(
        request,
        NodeFlags::of(node_flags, MAX_CHAIN_DEPTH),
        access_of(node_flags),
    )?;
    let node = if flags.temporary_overlay {
        overlay::over(node, flags, environment)?
    } else {
        node
    };
    let mut node = node;
    if flags.copy_on_read && node.writable() {
        node = Arc::new(CopyOnRead::new(node)?);
    }
    let through = matches!(flags.cache, CacheMode::Writethrough | CacheMode::Directsync);
    if through && node.writable() {
        node = Arc::new(Writethrough::new(node));
    }
    Ok(node)
}

/// What a command does with the image that it opens.
fn access_of(flags: OpenFlags) -> Access {
    let mut access = Access::default();
    if !flags.no_io {
        access.used |= Permissions::CONSISTENT_READ;
    }
    if flags.writable {
        access.used |= Permissions::WRITE;
    }
    if flags.unshared && !flags.force_share {
        access.unshared = Permissions::WRITE | Permissions::RESIZE;
    }
    access
}

#[cfg(test)]
mod tests;
