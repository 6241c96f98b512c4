//! Closing: what is in memory reaches the file, and the image says that it was closed cleanly.

use super::bitmaps::NODE_NAME;
use super::image::Qcow2;
use super::metadata::Metadata;
use super::tables::TableKind;
use crate::base::error::errno;
use crate::base::{Error, Result};
use crate::node::{BackingReference, DebugEvent};

impl Qcow2 {
    /// Flushes and closes the image and its children.
    pub(super) fn close_image(&self) -> Result<()> {
        let _own = self.own_all();
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

    /// Flushes; `to_disk` tells whether a debugging node hears of the part below the tables.
    pub(super) fn flush_announced(&self, to_disk: bool) -> Result<()> {
        self.file.debug_event(DebugEvent::FlushToOs);
        let mut metadata = self.metadata_even_if_dead();
        if metadata.dead {
            // Nothing is written any more: a write that found the corruption on its way may have succeeded.
            return Ok(());
        }
        metadata.write_tables()?;
        if to_disk {
            self.file.debug_event(DebugEvent::FlushToDisk);
        }
        metadata.flush()
    }

    fn save_metadata(&self) -> Result<()> {
        let mut bitmaps = self.bitmaps.lock();
        let mut metadata = self.metadata_even_if_dead();
        if metadata.dead && !metadata.corruption_reported {
            // The file failed where nobody could tell what it holds: what was not flushed is lost.
            return Err(Error::eio());
        }
        if !self.writable || metadata.dead {
            return Ok(());
        }
        let written = metadata.write_tables();
        if metadata.dead {
            // Marked corrupt by what was left to write: nothing more is tried.
            return written;
        }
        let stored = metadata.store_bitmaps(&mut bitmaps).map_err(|error| {
            metadata.notices.say(&format!(
                "Lost persistent bitmaps during inactivation of node '{NODE_NAME}': {error}"
            ));
            Error::bare(errno::EINVAL)
        });
        let flushed = metadata
            .write_back_all()
            .and_then(|()| metadata.mark_clean());
        flushed.and(stored)
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

impl Metadata {
    /// Writes both caches back, and says which of them could not be.
    fn write_back_all(&mut self) -> Result<()> {
        let mut saved = Ok(());
        for (kind, name) in [
            (TableKind::L2, "L2 table"),
            (TableKind::RefcountBlock, "refcount block"),
        ] {
            let written = self.write_all(kind).and_then(|()| self.file.flush());
            if let Err(error) = written {
                self.notices
                    .say(&format!("Failed to flush the {name} cache: {error}"));
                saved = saved.and(Err(error));
            }
        }
        saved?;
        self.after_flush();
        Ok(())
    }
}
