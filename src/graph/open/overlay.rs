//! `qemu-io -s`: writes go to a temporary overlay that is gone when it is closed.

use std::sync::Arc;

use super::{Environment, OpenFlags};
use crate::base::{Error, Result};
use crate::driver::file::{File, FileOptions};
use crate::driver::qcow2::create::{Qcow2CreateOptions, create};
use crate::driver::qcow2::{Qcow2, Qcow2OpenOptions};
use crate::node::{HostFile, Node, Preallocation, SharedNode};

/// Where the real tools keep such overlays, whatever the place of the image.
const DIRECTORY: &str = "/var/tmp";

/// An overlay over `base`, without a name from the start: it vanishes with its last user.
pub(super) fn over(
    base: SharedNode,
    flags: OpenFlags,
    environment: &Environment,
) -> Result<SharedNode> {
    let path = format!("{DIRECTORY}/vl.{}", uuid::Uuid::new_v4().simple());
    let could_not =
        |error: Error| error.prefixed(format!("Could not create temporary overlay '{path}': "));
    let options = FileOptions {
        writable: true,
        create: true,
        private: true,
        discard: true,
        no_flush: true,
        ..FileOptions::default()
    };
    let file: SharedNode = Arc::new(File::open_or_create(&path, options).map_err(could_not)?);
    // From here on nobody else finds it.
    std::fs::remove_file(&path).map_err(|error| could_not(error.into()))?;
    let create_options = Qcow2CreateOptions {
        size: base.length()?,
        preallocation: Preallocation::Off,
        ..Qcow2CreateOptions::default()
    };
    let host = HostFile::new(file);
    create(&host, &create_options, &|| {
        Err(Error::key("the overlay has no key"))
    })
    .map_err(could_not)?;
    let overlay = Qcow2::open(
        host,
        &Qcow2OpenOptions {
            writable: flags.writable,
            discard_unmap: flags.discard_unmap,
            notices: environment.notices.clone(),
            ..Qcow2OpenOptions::default()
        },
    )?;
    overlay.set_backing(Some(base))?;
    Ok(overlay)
}
