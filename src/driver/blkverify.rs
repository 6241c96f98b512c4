//! `blkverify`: an image and a raw copy of it, which must always say the same.

use crate::base::{Error, GuestOffset, Result};
use crate::node::{
    Access, Extent, ImageInfo, Node, Notices, Permissions, Preallocation, SharedNode, ZeroFlags,
};

/// Two nodes side by side; the tool ends where they differ.
pub struct Blkverify {
    raw: SharedNode,
    test: SharedNode,
    filename: String,
    notices: Notices,
    unshared: Permissions,
}

fn code(outcome: &Result<()>) -> i32 {
    outcome.as_ref().err().map_or(0, |error| -error.errno())
}

/// The first place where two buffers differ.
pub(super) fn first_difference(one: &[u8], other: &[u8]) -> Option<usize> {
    one.iter().zip(other).position(|(one, other)| one != other)
}

impl Blkverify {
    /// `test` is what the user sees, `raw` what it is compared with.
    pub const fn new(
        raw: SharedNode,
        test: SharedNode,
        filename: String,
        notices: Notices,
    ) -> Self {
        Self {
            raw,
            test,
            filename,
            notices,
            unshared: Permissions::empty(),
        }
    }

    /// What nobody else may do with the image.
    #[must_use]
    pub const fn unsharing(mut self, unshared: Permissions) -> Self {
        self.unshared = unshared;
        self
    }

    fn same_outcome(
        &self,
        action: &str,
        offset: u64,
        bytes: usize,
        test: Result<()>,
        raw: &Result<()>,
    ) -> Result<()> {
        let (test_code, raw_code) = (code(&test), code(raw));
        if test_code != raw_code {
            self.notices.say_last(&format!(
                "blkverify: {action} offset={offset} bytes={bytes} return value mismatch {test_code} != {raw_code}"
            ));
            return Err(Error::eio());
        }
        test
    }
}

impl Node for Blkverify {
    fn driver(&self) -> &'static str {
        "blkverify"
    }

    fn filename(&self) -> String {
        self.filename.clone()
    }

    fn writable(&self) -> bool {
        self.test.writable()
    }

    fn length(&self) -> Result<u64> {
        self.test.length()
    }

    fn read_at(&self, offset: GuestOffset, buffer: &mut [u8]) -> Result<()> {
        let mut copy = vec![0; buffer.len()];
        let raw = self.raw.read_at(offset, &mut copy);
        let test = self.test.read_at(offset, buffer);
        self.same_outcome("read", offset.bytes(), buffer.len(), test, &raw)?;
        if let Some(place) = first_difference(buffer, &copy) {
            self.notices.say_last(&format!(
                "blkverify: read offset={} bytes={} contents mismatch at offset {}",
                offset.bytes(),
                buffer.len(),
                offset.bytes() + place as u64
            ));
            return Err(Error::eio());
        }
        Ok(())
    }

    fn write_at(&self, offset: GuestOffset, data: &[u8]) -> Result<()> {
        let raw = self.raw.write_at(offset, data);
        let test = self.test.write_at(offset, data);
        self.same_outcome("write", offset.bytes(), data.len(), test, &raw)
    }

    /// Zeros are written as data, so that both have them.
    fn write_zeroes(&self, offset: GuestOffset, length: u64, flags: ZeroFlags) -> Result<()> {
        if flags.contains(ZeroFlags::NO_FALLBACK) {
            return Err(Error::bare(crate::base::error::errno::ENOTSUP));
        }
        let zeros = vec![0; usize::try_from(length.min(1 << 20)).unwrap_or(0)];
        let (mut place, mut left) = (offset, length);
        while left > 0 {
            let step = left.min(zeros.len() as u64);
            let piece = usize::try_from(step).unwrap_or(zeros.len());
            self.write_at(place, &zeros[..piece])?;
            place = place.plus(step)?;
            left -= step;
        }
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        // The raw copy needs not outlive anything.
        self.test.flush()
    }

    /// As in the real tool the raw copy alone is resized.
    fn resize(&self, length: u64, preallocation: Preallocation) -> Result<()> {
        self.raw.resize(length, preallocation)
    }

    /// As in the real tool the raw copy alone is asked, also by [`Self::info`].
    fn extent(&self, offset: GuestOffset, length: u64) -> Result<Extent> {
        self.raw.extent(offset, length)
    }

    fn info(&self) -> Result<ImageInfo> {
        let raw = self.raw.info()?;
        Ok(ImageInfo {
            cluster_size: raw.cluster_size,
            ..ImageInfo::default()
        })
    }

    fn allocated_bytes(&self) -> Option<u64> {
        None
    }

    fn file(&self) -> Option<SharedNode> {
        Some(SharedNode::clone(&self.raw))
    }

    fn child_name(&self) -> &'static str {
        "raw"
    }

    fn children(&self) -> Vec<(String, SharedNode)> {
        vec![
            ("test".to_owned(), SharedNode::clone(&self.test)),
            ("raw".to_owned(), SharedNode::clone(&self.raw)),
        ]
    }

    fn set_access(&self, access: Access) -> Result<()> {
        let mut of_test = access;
        of_test.unshared |= self.unshared;
        if access.used.contains(Permissions::WRITE) {
            of_test.used |= Permissions::RESIZE;
        }
        self.test.set_access(of_test)?;
        self.raw.set_access(access)
    }

    fn close(&self) -> Result<()> {
        let test = self.test.close();
        self.raw.close().and(test)
    }
}
