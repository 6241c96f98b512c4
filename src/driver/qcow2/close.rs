//! Closing: what is in memory reaches the file, and the image says that it was closed cleanly.

use super::bitmaps::NODE_NAME;
use super::image::Qcow2;
use crate::base::Result;
use crate::node::BackingReference;

impl Qcow2 {
    /// Flushes and closes the image and its children.
    pub(super) fn close_image(&self) -> Result<()> {
        let _own = self.ranges.own_all();
        let saved = self.save_metadata();
        let closed = self.file.close();
        let data_closed = match &self.metadata_even_if_dead().data_file {
            Some(data) => data.close(),
            None => Ok(()),
        };
        let backing_closed = match self.backing_node() {
            Some(backing) => backing.close(),
            None => Ok(()),
        };
        saved.and(closed).and(data_closed).and(backing_closed)
    }

    fn save_metadata(&self) -> Result<()> {
        let mut bitmaps = self.bitmaps.lock();
        let mut metadata = self.metadata_even_if_dead();
        if !self.writable || metadata.dead {
            return Ok(());
        }
        let stored = metadata.store_bitmaps(&mut bitmaps).map_err(|error| {
            error.prefixed(format!(
                "Lost persistent bitmaps during inactivation of node '{NODE_NAME}': "
            ))
        });
        let flushed = metadata.flush().and_then(|()| metadata.mark_clean());
        stored.and(flushed)
    }

    /// The backing file that the header names.
    pub(super) fn header_backing_reference(&self) -> Option<BackingReference> {
        let metadata = self.metadata_even_if_dead();
        let name = metadata.backing_name.as_ref()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some(BackingReference {
            name: text(name),
            format: metadata.extensions.backing_format.as_deref().map(text),
        })
    }
}
