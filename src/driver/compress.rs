//! `compress`: every write is stored compressed.

use super::forward::{forward_changes, forward_facts, forward_name, forward_reads};
use crate::base::error::errno;
use crate::base::{Error, GuestOffset, Result};
use crate::node::{Node, SharedNode, ZeroFlags};

/// Compressed writes to a format that has them; to its user it looks like that image.
pub struct Compress {
    inner: SharedNode,
    cluster: u64,
}

impl Compress {
    /// Over an image whose format can compress.
    pub fn new(inner: SharedNode) -> Result<Self> {
        let cluster = match (inner.driver(), inner.info()?.cluster_size) {
            ("qcow2" | "qcow", Some(cluster)) => cluster,
            (driver, _) => {
                return Err(Error::caller(format!(
                    "Compression is not supported for underlying format: {driver}"
                )));
            }
        };
        Ok(Self { inner, cluster })
    }

    /// One cluster with `data` at `offset` in it.
    fn write_cluster(&self, offset: GuestOffset, data: &[u8]) -> Result<()> {
        let start = offset.align_down(self.cluster);
        let length = self
            .cluster
            .min(self.inner.length()?.saturating_sub(start.bytes()));
        if data.len() as u64 == length {
            return self.inner.write_compressed(start, data);
        }
        let size = |bytes: u64| usize::try_from(bytes).map_err(|_| Error::bare(errno::EFBIG));
        let mut whole = vec![0; size(length)?];
        self.inner.read_at(start, &mut whole)?;
        let skip = size(offset.distance_from(start))?;
        whole
            .get_mut(skip..skip + data.len())
            .ok_or_else(Error::eio)?
            .copy_from_slice(data);
        self.inner.write_compressed(start, &whole)
    }
}

impl Node for Compress {
    forward_facts!();
    forward_name!();
    forward_reads!();
    forward_changes!();

    fn driver(&self) -> &'static str {
        self.inner.driver()
    }

    fn file(&self) -> Option<SharedNode> {
        self.inner.file()
    }

    fn write_at(&self, offset: GuestOffset, data: &[u8]) -> Result<()> {
        let mut rest = data;
        let mut position = offset;
        while !rest.is_empty() {
            let room = usize::try_from(self.cluster - position.within(self.cluster))
                .unwrap_or(usize::MAX)
                .min(rest.len());
            let (piece, behind) = rest.split_at(room);
            self.write_cluster(position, piece)?;
            position = position.plus(room as u64)?;
            rest = behind;
        }
        Ok(())
    }

    fn write_compressed(&self, offset: GuestOffset, data: &[u8]) -> Result<()> {
        self.inner.write_compressed(offset, data)
    }

    fn write_vm_state(&self, position: u64, data: &[u8]) -> Result<()> {
        self.inner.write_vm_state(position, data)
    }

    fn write_zeroes(&self, offset: GuestOffset, length: u64, flags: ZeroFlags) -> Result<()> {
        self.inner.write_zeroes(offset, length, flags)
    }
}
