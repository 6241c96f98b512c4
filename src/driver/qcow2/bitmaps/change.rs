//! What a user does with bitmaps.

use super::list::{Bitmap, Content};
use crate::base::limits::{
    QCOW2_BITMAP_GRANULARITY_BITS, QCOW2_MAX_BITMAP_DATA_BYTES, QCOW2_MAX_BITMAP_DIRECTORY_BYTES,
    QCOW2_MAX_BITMAP_NAME_BYTES, QCOW2_MAX_BITMAPS,
};
use crate::base::{Error, Result};
use crate::driver::qcow2::image::Qcow2;
use crate::format::qcow2::bitmap::directory;
use crate::node::{BitmapChange, BitmapInfo, DirtyBits, no_bitmap};

/// Granularity without `-g`: the cluster size within these bounds.
const DEFAULT_GRANULARITY: std::ops::RangeInclusive<u64> = 4096..=65536;

impl Qcow2 {
    /// Records that a range of the disk changes.
    pub(in crate::driver::qcow2) fn mark_dirty(&self, offset: u64, length: u64) {
        if self.recording.is_on() {
            self.bitmaps.lock().mark(offset, length);
        }
    }

    /// The bitmaps.
    pub(in crate::driver::qcow2) fn list_bitmaps(&self) -> Vec<BitmapInfo> {
        self.bitmaps.lock().infos()
    }

    /// Adds an empty bitmap.
    pub(in crate::driver::qcow2) fn add_bitmap(
        &self,
        name: &str,
        granularity: Option<u64>,
        enabled: bool,
    ) -> Result<()> {
        let granularity = granularity.unwrap_or_else(|| {
            let cluster = self.geometry.cluster_size();
            cluster.clamp(*DEFAULT_GRANULARITY.start(), *DEFAULT_GRANULARITY.end())
        });
        let granularity_bits = granularity.trailing_zeros();
        if !granularity.is_power_of_two()
            || !QCOW2_BITMAP_GRANULARITY_BITS.contains(&granularity_bits)
        {
            return Err(Error::caller(
                "Granularity must be power of 2 and at least 512",
            ));
        }
        self.check_writable()?;
        let mut bitmaps = self.bitmaps.lock();
        if bitmaps
            .list
            .iter()
            .any(|bitmap| bitmap.name == name.as_bytes())
        {
            return Err(Error::caller(format!("Bitmap already exists: {name}")));
        }
        self.check_new_bitmap(&bitmaps.list, name, granularity_bits)?;
        let bitmap = Bitmap {
            name: name.as_bytes().to_vec(),
            granularity_bits,
            enabled,
            content: Content::Loaded(DirtyBits::new(self.size(), granularity_bits)),
            stored: None,
        };
        // The real tool stores new ones behind the others, the newest first.
        let place = bitmaps
            .list
            .iter()
            .position(|bitmap| bitmap.stored.is_none())
            .unwrap_or(bitmaps.list.len());
        bitmaps.list.insert(place, bitmap);
        self.recording.refresh(&bitmaps);
        Ok(())
    }

    /// Refuses a bitmap that could not be stored.
    fn check_new_bitmap(&self, list: &[Bitmap], name: &str, granularity_bits: u32) -> Result<()> {
        let entry_bytes = |length: usize| directory::entry_bytes(length) as u64;
        let directory: u64 = list
            .iter()
            .map(|bitmap| entry_bytes(bitmap.name.len()))
            .sum();
        let cluster_size = self.geometry.cluster_size();
        let clusters = directory::table_entries(self.size(), granularity_bits, cluster_size);
        let name_max = usize::from(QCOW2_MAX_BITMAP_NAME_BYTES);
        let data = clusters.saturating_mul(cluster_size);
        let refusal = if self.metadata()?.header.version < 3 {
            "Cannot store dirty bitmaps in qcow2 v2 files".to_owned()
        } else if name.len() > name_max {
            format!("Name length exceeds maximum ({name_max} characters)")
        } else if data > QCOW2_MAX_BITMAP_DATA_BYTES {
            "Too much space will be occupied by the bitmap. Use larger granularity".to_owned()
        } else if list.len() as u64 >= u64::from(QCOW2_MAX_BITMAPS) {
            "Maximum number of persistent bitmaps is already reached".to_owned()
        } else if directory + entry_bytes(name.len()) > QCOW2_MAX_BITMAP_DIRECTORY_BYTES {
            "Not enough space in the bitmap directory".to_owned()
        } else {
            return Ok(());
        };
        Err(Error::caller(refusal).prefixed(format!(
            "Can't make bitmap '{name}' persistent in '{NODE_NAME}': "
        )))
    }

    /// Removes a bitmap, from the file too.
    pub(in crate::driver::qcow2) fn remove_bitmap(&self, name: &str) -> Result<()> {
        self.check_writable()?;
        let mut bitmaps = self.bitmaps.lock();
        let index = bitmaps
            .list
            .iter()
            .position(|bitmap| bitmap.name == name.as_bytes())
            .ok_or_else(|| no_bitmap(name))?;
        let stored = bitmaps
            .list
            .get(index)
            .and_then(|bitmap| bitmap.stored.clone());
        if let Some(stored) = stored {
            let others = bitmaps.stored().filter(|entry| entry.name != stored.name);
            let others: Vec<_> = others.cloned().collect();
            let mut metadata = self.metadata()?;
            metadata.switch_bitmap_directory(&others)?;
            metadata.free_bitmap(&stored);
        }
        bitmaps.list.remove(index);
        self.recording.refresh(&bitmaps);
        Ok(())
    }

    /// Changes a bitmap in memory.
    pub(in crate::driver::qcow2) fn change_bitmap(
        &self,
        name: &str,
        change: BitmapChange,
    ) -> Result<()> {
        self.check_writable()?;
        let mut bitmaps = self.bitmaps.lock();
        let bitmap = find(&mut bitmaps.list, name)?;
        match (change, &mut bitmap.content) {
            (BitmapChange::Clear, Content::Loaded(bits)) => bits.clear(),
            (BitmapChange::Clear, _) => {}
            (BitmapChange::Enable, _) => bitmap.enabled = true,
            (BitmapChange::Disable, _) => bitmap.enabled = false,
        }
        self.recording.refresh(&bitmaps);
        Ok(())
    }

    /// A copy of a bitmap's content.
    pub(in crate::driver::qcow2) fn copy_bitmap(&self, name: &str) -> Result<DirtyBits> {
        let mut bitmaps = self.bitmaps.lock();
        let bitmap = find(&mut bitmaps.list, name)?;
        match (&bitmap.content, &bitmap.stored) {
            (Content::Loaded(bits), _) => Ok(bits.clone()),
            (_, Some(stored)) => self.metadata()?.read_bitmap(stored),
            (_, None) => Err(no_bitmap(name)),
        }
    }

    /// Adds what is dirty in `bits`.
    pub(in crate::driver::qcow2) fn merge_bitmap(
        &self,
        name: &str,
        bits: &DirtyBits,
    ) -> Result<()> {
        self.check_writable()?;
        let mut bitmaps = self.bitmaps.lock();
        let bitmap = find(&mut bitmaps.list, name)?;
        let Content::Loaded(own) = &mut bitmap.content else {
            return Err(no_bitmap(name));
        };
        let (destination, source) = (own.size(), bits.size());
        if destination != source {
            return Err(Error::caller(format!(
                "Bitmaps are of different sizes (destination size is {destination}, source size is {source}) and can't be merged"
            )));
        }
        own.merge(bits);
        Ok(())
    }
}

/// What the real tools call the image that they opened first; the number is another one each time.
pub(in crate::driver::qcow2) const NODE_NAME: &str = "#block100";

/// The bitmap with that name, if it can be used.
fn find<'a>(list: &'a mut [Bitmap], name: &str) -> Result<&'a mut Bitmap> {
    let bitmap = list
        .iter_mut()
        .find(|bitmap| bitmap.name == name.as_bytes())
        .ok_or_else(|| no_bitmap(name))?;
    bitmap.refuse_inconsistent()?;
    Ok(bitmap)
}
