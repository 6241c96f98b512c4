//! Changing an image's options (qcow2 §14).

mod downgrade;
mod key_slots;
mod phases;
mod refcount_width;
mod zero_clusters;

use std::sync::atomic::Ordering;

use phases::Phases;

use super::image::Qcow2;
use super::metadata::Metadata;
use super::preallocate::Growth;
use crate::base::{Error, GuestOffset, Result};
use crate::format::qcow2::header::{
    AutoclearFeatures, CompatibleFeatures, CompressionType, CryptMethod, IncompatibleFeatures,
    V3_HEADER_BYTES,
};
use crate::format::qcow2::snapshot_table::Snapshot;
use crate::node::{AmendRequest, Preallocation, ZeroFlags};

/// What a request comes to, once its values have been looked at.
struct Plan {
    version: u32,
    /// `None`: the width stays.
    refcount_bits: Option<u32>,
}

impl Qcow2 {
    /// Changes what the request names, in the real tool's order: what fails late leaves the earlier changes.
    pub(super) fn amend_image(&self, request: &AmendRequest<'_>) -> Result<()> {
        self.check_writable()?;
        let mut own = self.own_all();
        let plan = self.plan_amendment(request)?;
        let mut phases = self.phases(request, &plan);
        if plan.version > self.version() {
            self.upgrade(&mut phases)?;
        }
        if let Some(change) = &request.key_slots {
            self.amend_key_slots(request, change)?;
        }
        if let Some(bits) = plan.refcount_bits {
            self.amend_refcount_width(bits, plan.version, &mut phases)?;
        }
        // Bitmaps before metadata, as everywhere.
        let mut bitmaps = self.bitmaps.lock();
        let mut metadata = self.metadata()?;
        metadata.amend_data_file(request)?;
        metadata.check_backing_stays(request)?;
        if let Some(lazy) = request.lazy_refcounts {
            metadata.amend_lazy_refcounts(lazy, plan.version)?;
        }
        let old_size = metadata.size;
        let mut hidden_end = old_size;
        // Zero is how the real tools say "as it is".
        if let Some(size) = request.size.filter(|size| *size > 0) {
            if i64::try_from(size).is_err() {
                return Err(Error::caller("Image size cannot be negative"));
            }
            hidden_end = self.end_to_hide(old_size, size, Preallocation::Off)?;
            let growth = Growth::without_preallocation(old_size, size);
            self.resize_locked(&mut metadata, &mut bitmaps, size, &growth)?;
        }
        drop(metadata);
        drop(bitmaps);
        if hidden_end > old_size {
            // A longer backing file must not show in what the disk grew by.
            drop(own);
            let hidden = hidden_end - old_size;
            self.write_zeroes_disk(GuestOffset::new(old_size), hidden, ZeroFlags::empty())?;
            own = self.own_all();
        }
        if plan.version < self.version() {
            self.downgrade(&mut phases)?;
        }
        drop(own);
        Ok(())
    }

    fn plan_amendment(&self, request: &AmendRequest<'_>) -> Result<Plan> {
        let metadata = self.metadata()?;
        let header = &metadata.header;
        if request.key_slots.is_some() && header.crypt_method == CryptMethod::None {
            return Err(Error::caller(
                "Can't amend encryption options - encryption not present",
            ));
        }
        let version = match request.compat.as_deref() {
            None => header.version,
            Some("0.10" | "v2") => 2,
            Some("1.1" | "v3") => 3,
            Some(other) => {
                return Err(Error::caller(format!(
                    "Unknown compatibility level {other}"
                )));
            }
        };
        let data_file = header
            .incompatible
            .contains(IncompatibleFeatures::DATA_FILE);
        if request.data_file.is_some() && !data_file {
            return Err(Error::caller(
                "data-file can only be set for images that use an external data file",
            ));
        }
        let raw = header.autoclear.contains(AutoclearFeatures::DATA_FILE_RAW);
        if request.data_file_raw == Some(true) && !raw {
            return Err(Error::caller(
                "data-file-raw cannot be set on existing images",
            ));
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the real tools look at the low 32 bits"
        )]
        let refcount_bits = request.refcount_bits.map(|bits| bits as u32);
        Ok(Plan {
            version,
            refcount_bits: refcount_bits
                .filter(|bits| 1_u32.checked_shl(header.refcount_order) != Some(*bits)),
        })
    }

    fn phases<'a>(&self, request: &AmendRequest<'a>, plan: &Plan) -> Phases<'a> {
        let changes = [
            plan.version != self.version(),
            plan.refcount_bits.is_some(),
            request.key_slots.is_some(),
        ];
        let count = changes.into_iter().map(u64::from).sum();
        Phases::new(request.progress, count)
    }

    fn upgrade(&self, phases: &mut Phases<'_>) -> Result<()> {
        const STEPS: u64 = 2;
        phases.begin();
        phases.report(0, STEPS);
        let mut metadata = self.metadata()?;
        // Version 3 asks for more about a snapshot than version 2 (qcow2 §6).
        if metadata.snapshots.iter().any(Snapshot::incomplete) {
            metadata.rewrite_snapshot_table()?;
        }
        phases.report(1, STEPS);
        metadata.change_header(|header| {
            header.version = 3;
            header.header_length = V3_HEADER_BYTES;
        })?;
        self.version.store(3, Ordering::Release);
        phases.report(2, STEPS);
        Ok(())
    }

    fn amend_refcount_width(&self, bits: u32, version: u32, phases: &mut Phases<'_>) -> Result<()> {
        if !bits.is_power_of_two() || bits > 64 {
            return Err(Error::caller(
                "Refcount width must be a power of two and may not exceed 64 bits",
            ));
        }
        if version < 3 && bits != 16 {
            return Err(Error::caller(
                "Refcount widths other than 16 bits require compatibility level 1.1 or above (use compat=1.1 or greater)",
            ));
        }
        phases.begin();
        self.metadata()?
            .change_refcount_width(bits.trailing_zeros(), phases)
    }

    fn downgrade(&self, phases: &mut Phases<'_>) -> Result<()> {
        phases.begin();
        let mut metadata = self.metadata()?;
        metadata.settle_for_downgrade()?;
        self.expand_zero_clusters(&mut metadata, phases)
            .map_err(|error| {
                error.prefixed_when_bare("Failed to turn zero into data clusters: ")
            })?;
        metadata.become_version_2()?;
        *self.compression.write() = CompressionType::Zlib;
        self.version.store(2, Ordering::Release);
        Ok(())
    }
}

impl Metadata {
    /// Rewrites the header with some fields changed; a failure leaves them as they were.
    fn change_header(
        &mut self,
        change: impl FnOnce(&mut crate::format::qcow2::header::Header),
    ) -> Result<()> {
        let old = self.header.clone();
        change(&mut self.header);
        let written = self.rewrite_header().and_then(|()| self.file.flush());
        if written.is_err() {
            self.header = old;
        }
        written
    }

    fn amend_data_file(&mut self, request: &AmendRequest<'_>) -> Result<()> {
        let Some(name) = &request.data_file else {
            if request.data_file_raw == Some(false)
                && self
                    .header
                    .autoclear
                    .contains(AutoclearFeatures::DATA_FILE_RAW)
            {
                self.change_header(|header| header.autoclear -= AutoclearFeatures::DATA_FILE_RAW)?;
            }
            return Ok(());
        };
        let stored = (!name.is_empty()).then(|| name.as_bytes().to_vec());
        let old = std::mem::replace(&mut self.extensions.data_file, stored);
        let raw_off = request.data_file_raw == Some(false);
        let written = self.change_header(|header| {
            if raw_off {
                header.autoclear -= AutoclearFeatures::DATA_FILE_RAW;
            }
        });
        if written.is_err() {
            self.extensions.data_file = old;
        }
        written
    }

    /// The backing file is another command's affair.
    fn check_backing_stays(&self, request: &AmendRequest<'_>) -> Result<()> {
        let (name, format) = (&request.backing_file, &request.backing_format);
        if name.is_none() && format.is_none() {
            return Ok(());
        }
        let same = |given: &Option<String>, stored: &Option<Vec<u8>>| {
            given.as_ref().map(String::as_bytes) == stored.as_deref()
        };
        if same(name, &self.backing_name) && same(format, &self.extensions.backing_format) {
            return Ok(());
        }
        Err(Error::caller("Cannot amend the backing file")
            .with_hint("You can use 'qemu-img rebase' instead."))
    }

    fn amend_lazy_refcounts(&mut self, lazy: bool, version: u32) -> Result<()> {
        if Self::header_is_lazy(&self.header) == lazy {
            return Ok(());
        }
        if lazy && version < 3 {
            return Err(Error::caller(
                "Lazy refcounts only supported with compatibility level 1.1 and above (use compat=1.1 or greater)",
            ));
        }
        if !lazy {
            self.mark_clean()?;
        }
        self.change_header(|header| {
            header
                .compatible
                .set(CompatibleFeatures::LAZY_REFCOUNTS, lazy);
        })?;
        self.lazy_refcounts = lazy;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
