//! What `info` tells: from the header alone, without a key (qcow2 §16).

use serde_json::{Map, Value, json};

use super::image::Qcow2;
use super::metadata::Metadata;
use super::open::reader;
use crate::base::Result;
use crate::driver::luks;
use crate::format::qcow2::bitmap::{BitmapFlags, DirectoryEntry};
use crate::format::qcow2::header::{
    AutoclearFeatures, CompatibleFeatures, CompressionType, CryptMethod, IncompatibleFeatures,
};
use crate::node::ImageInfo;

impl Qcow2 {
    /// Facts for `info`.
    pub(super) fn image_info(&self) -> Result<ImageInfo> {
        let bitmaps = self.bitmaps.lock();
        let metadata = self.metadata()?;
        let header = &metadata.header;
        let mut specific = Map::new();
        let mut put = |name: &str, value: Value| specific.insert(name.to_owned(), value);
        let compression = match *self.compression.read() {
            CompressionType::Zlib => "zlib",
            CompressionType::Zstd => "zstd",
        };
        let has_feature = |feature| header.incompatible.contains(feature);
        if header.version < 3 {
            put("compat", json!("0.10"));
            put("compression-type", json!(compression));
            put("refcount-bits", json!(1 << header.refcount_order));
        } else {
            let lazy = header
                .compatible
                .contains(CompatibleFeatures::LAZY_REFCOUNTS);
            put("compat", json!("1.1"));
            put("compression-type", json!(compression));
            put("lazy-refcounts", json!(lazy));
            let stored: Vec<Value> = bitmaps.stored().map(bitmap).collect();
            if !stored.is_empty() {
                put("bitmaps", Value::Array(stored));
            }
            put("refcount-bits", json!(1 << header.refcount_order));
        }
        // Shown wherever the extension is, whether or not the feature bit makes it count.
        if let Some(name) = &metadata.extensions.data_file
            && header.version >= 3
        {
            put("data-file", json!(String::from_utf8_lossy(name)));
        }
        if let Some(encryption) = encryption(&metadata)? {
            put("encrypt", Value::Object(encryption));
        }
        if header.version >= 3 {
            if has_feature(IncompatibleFeatures::DATA_FILE) {
                let raw = header.autoclear.contains(AutoclearFeatures::DATA_FILE_RAW);
                put("data-file-raw", json!(raw));
            }
            put("corrupt", json!(has_feature(IncompatibleFeatures::CORRUPT)));
            put(
                "extended-l2",
                json!(has_feature(IncompatibleFeatures::EXTENDED_L2)),
            );
        }
        Ok(ImageInfo {
            cluster_size: Some(self.geometry.cluster_size()),
            vm_state_offset: self.geometry.vm_state_start(metadata.size).bytes(),
            encrypted: header.crypt_method != CryptMethod::None,
            dirty: has_feature(IncompatibleFeatures::DIRTY),
            specific: Some(("qcow2", specific)),
        })
    }
}

/// One of the `bitmaps`.
fn bitmap(entry: &DirectoryEntry) -> Value {
    let mut flags = Vec::new();
    if entry.flags.contains(BitmapFlags::IN_USE) {
        flags.push("in-use");
    }
    if entry.flags.contains(BitmapFlags::ENABLED) {
        flags.push("auto");
    }
    let mut object = Map::new();
    object.insert("flags".to_owned(), json!(flags));
    object.insert("name".to_owned(), json!(entry.text()));
    let granularity = 1_u64 << entry.granularity_bits;
    object.insert("granularity".to_owned(), json!(granularity));
    Value::Object(object)
}

/// The `encrypt` section.
fn encryption(metadata: &Metadata) -> Result<Option<Map<String, Value>>> {
    if metadata.header.crypt_method == CryptMethod::Aes {
        let format = ("format".to_owned(), json!("aes"));
        return Ok(Some(Map::from_iter([format])));
    }
    let Some(place) = metadata.extensions.crypto else {
        return Ok(None);
    };
    let header = luks::inspect_volume(&reader(&metadata.file, place), false)?;
    let mut section = Map::new();
    for (name, value) in luks::info_value(&header) {
        // The real tool's order: the format stands between the volume's own fields.
        if name == "cipher-mode" {
            section.insert("format".to_owned(), json!("luks"));
        }
        section.insert(name, value);
    }
    Ok(Some(section))
}

#[cfg(test)]
mod tests;
