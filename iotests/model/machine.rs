//! The system under test: our drivers on files in memory, with everything that must hold after a step.

use std::sync::Arc;

use cowproof::base::{GuestOffset, Result as DriverResult};
use cowproof::crypto::secret::Secret;
use cowproof::driver::luks::LuksCreateOptions;
use cowproof::driver::memory::Memory;
use cowproof::driver::qcow1::{self, Qcow1, Qcow1CreateOptions, Qcow1OpenOptions};
use cowproof::driver::qcow2::create::{Qcow2CreateOptions, Qcow2Encryption, create_with_data};
use cowproof::driver::qcow2::{Qcow2, Qcow2OpenOptions};
use cowproof::format::qcow2::header::CompressionType;
use cowproof::job::commit::{self, Commit};
use cowproof::job::progress::Silent;
use cowproof::job::rebase::{self, Rebase};
use cowproof::node::{
    BackingReference, CheckReport, HostFile, Node, Preallocation, Repair, SharedNode,
    SnapshotRequest, ZeroFlags,
};

use crate::configuration::{Base, Configuration, DataFile, Encryption, Format};
use crate::count;
use crate::flat::{Flat, Layer, base_stretches};
use crate::operation::{Fill, Operation, Span};

/// More than any history needs.
const FILE_CAP: u64 = 1 << 30;

/// The files of an image.
#[derive(Clone)]
pub struct Files {
    pub image: Arc<Memory>,
    pub data: Arc<Memory>,
    pub bases: [Arc<Memory>; 2],
}

/// An image under test.
pub struct Machine {
    configuration: Arc<Configuration>,
    pub files: Files,
    image: SharedNode,
    bases: [SharedNode; 2],
    lies_on: Option<Base>,
}

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

/// The secrets that the command lines name `top` and `base`.
pub const SECRETS: [(&str, &str); 2] = [("top", "open sesame"), ("base", "another one")];

fn empty_file() -> Arc<Memory> {
    Arc::new(Memory::new(Vec::new(), FILE_CAP))
}

fn create_image(configuration: &Configuration, files: &Files) -> DriverResult<()> {
    let key = secret(SECRETS[0].1);
    let backing = configuration
        .lies_on
        .map(|base| configuration.base_name(base));
    if configuration.format == Format::Qcow1 {
        let encrypted = configuration.encryption != Encryption::None;
        let options = Qcow1CreateOptions {
            size: configuration.size,
            backing,
            encrypted,
            key: encrypted.then_some(key),
        };
        return qcow1::create(&HostFile::new(files.image.clone()), &options);
    }
    let luks = LuksCreateOptions {
        iter_time_ms: 0,
        ..LuksCreateOptions::default()
    };
    let options = Qcow2CreateOptions {
        size: configuration.size,
        version: if configuration.format == Format::V2 {
            2
        } else {
            3
        },
        cluster_size: configuration.cluster_size,
        refcount_bits: configuration.refcount_bits,
        lazy_refcounts: configuration.lazy_refcounts,
        extended_l2: configuration.extended,
        compression_type: if configuration.zstd {
            CompressionType::Zstd
        } else {
            CompressionType::Zlib
        },
        backing_file: backing,
        backing_format: configuration.lies_on.map(|base| base.format().to_owned()),
        data_file: (configuration.data_file != DataFile::None).then(|| "data".to_owned()),
        data_file_raw: configuration.data_file == DataFile::Raw,
        encryption: match configuration.encryption {
            Encryption::None => Qcow2Encryption::None,
            Encryption::Aes => Qcow2Encryption::Aes,
            Encryption::Luks => Qcow2Encryption::Luks(luks),
        },
        ..Qcow2CreateOptions::default()
    };
    let data = HostFile::new(files.data.clone());
    create_with_data(
        &HostFile::new(files.image.clone()),
        options.data_file.is_some().then_some(&data),
        &options,
        &|| Ok(key.clone()),
    )
}

fn create_bases(configuration: &Configuration, files: &Files) -> DriverResult<()> {
    let length = configuration.base_length(Base::B);
    let options = Qcow2CreateOptions {
        size: length,
        encryption: if configuration.encrypted_base {
            Qcow2Encryption::Aes
        } else {
            Qcow2Encryption::None
        },
        ..Qcow2CreateOptions::default()
    };
    let below = HostFile::new(files.bases[1].clone());
    create_with_data(&below, None, &options, &|| Ok(secret(SECRETS[1].1)))?;
    files.bases[0].resize(configuration.base_length(Base::A), Preallocation::Off)?;
    for (base, node) in Base::ALL.iter().zip(open_bases(configuration, files)?) {
        for span in base_stretches(configuration.base_length(*base)) {
            let bytes = Fill::Pattern.bytes(span.range().len());
            node.write_at(GuestOffset::new(span.offset), &bytes)?;
        }
        node.close()?;
    }
    Ok(())
}

fn open_bases(configuration: &Configuration, files: &Files) -> DriverResult<[SharedNode; 2]> {
    let options = Qcow2OpenOptions {
        writable: true,
        key: configuration.encrypted_base.then(|| secret(SECRETS[1].1)),
        filename: Some(Base::B.file().to_owned()),
        ..Qcow2OpenOptions::default()
    };
    let below = Qcow2::open(HostFile::new(files.bases[1].clone()), &options)?;
    Ok([files.bases[0].clone(), below])
}

fn open_image(
    configuration: &Configuration,
    files: &Files,
    writable: bool,
) -> DriverResult<SharedNode> {
    let file = HostFile::new(files.image.clone());
    let key = (configuration.encryption != Encryption::None).then(|| secret(SECRETS[0].1));
    if configuration.format == Format::Qcow1 {
        let options = Qcow1OpenOptions {
            writable,
            key,
            ..Qcow1OpenOptions::default()
        };
        return Ok(Qcow1::open(file, options)?);
    }
    let options = Qcow2OpenOptions {
        writable,
        discard_unmap: true,
        key,
        ..Qcow2OpenOptions::default()
    };
    let data = HostFile::new(files.data.clone());
    let external = configuration.data_file != DataFile::None;
    Ok(Qcow2::open_with_data(file, &options, &mut |_| {
        Ok(external.then(|| data.clone()))
    })?)
}

impl Machine {
    /// Creates the image and everything it may lie on.
    pub fn new(configuration: &Arc<Configuration>) -> DriverResult<Self> {
        let files = Files {
            image: empty_file(),
            data: empty_file(),
            bases: [empty_file(), empty_file()],
        };
        create_bases(configuration, &files)?;
        create_image(configuration, &files)?;
        Self::open(configuration, files, configuration.lies_on)
    }

    /// Opens files for writing.
    pub fn open(
        configuration: &Arc<Configuration>,
        files: Files,
        lies_on: Option<Base>,
    ) -> DriverResult<Self> {
        let bases = open_bases(configuration, &files)?;
        let image = open_image(configuration, &files, true)?;
        let machine = Self {
            configuration: Arc::clone(configuration),
            files,
            image,
            bases,
            lies_on,
        };
        machine.image.set_backing(machine.base())?;
        Ok(machine)
    }

    fn base(&self) -> Option<SharedNode> {
        self.lies_on
            .map(|base| SharedNode::clone(&self.bases[base.index()]))
    }

    /// Closes everything.
    pub fn close(&self) -> DriverResult<()> {
        self.image.close()?;
        for base in Base::ALL {
            // The image has closed the one it lies on.
            if self.lies_on != Some(base) {
                self.bases[base.index()].close()?;
            }
        }
        Ok(())
    }

    fn reopen(&mut self) -> DriverResult<()> {
        self.close()?;
        *self = Self::open(&self.configuration, self.files.clone(), self.lies_on)?;
        Ok(())
    }

    /// Does one step.
    pub fn step(&mut self, operation: Operation) -> DriverResult<()> {
        let guest = |span: Span| GuestOffset::new(span.offset);
        let bytes = |span: Span, fill: Fill| fill.bytes(span.range().len());
        let image = &self.image;
        match operation {
            Operation::Write(span, fill) => image.write_at(guest(span), &bytes(span, fill)),
            Operation::Compressed(span, fill) => {
                image.write_compressed(guest(span), &bytes(span, fill))
            }
            Operation::Zero { span, unmap } => {
                let flags = if unmap {
                    ZeroFlags::MAY_UNMAP
                } else {
                    ZeroFlags::empty()
                };
                image.write_zeroes(guest(span), span.length, flags)
            }
            Operation::Discard(span) => image.discard(guest(span), span.length),
            Operation::Truncate(length) => image.resize(length, Preallocation::Off),
            Operation::VmState(span, byte) => {
                image.write_vm_state(span.offset, &bytes(span, Fill::Byte(byte)))
            }
            Operation::Flush => image.flush(),
            Operation::Reopen => self.reopen(),
            Operation::SnapshotCreate(number) => image.snapshot_create(&SnapshotRequest {
                name: format!("s{number}"),
                ..SnapshotRequest::default()
            }),
            Operation::SnapshotApply(number) => image.snapshot_apply(&format!("s{number}")),
            Operation::SnapshotDelete(number) => {
                image.snapshot_delete(None, Some(&format!("s{number}")))
            }
            Operation::Commit => self.commit(),
            Operation::Rebase(base) => self.rebase(base),
        }
    }

    fn commit(&self) -> DriverResult<()> {
        let base = self
            .base()
            .expect("the model allows a commit with a base only");
        commit::run(&Commit {
            top: &self.image,
            base: &base,
            empty_top: true,
            workers: 1,
            rate: None,
            progress: &Silent,
        })
    }

    fn rebase(&mut self, base: Option<Base>) -> DriverResult<()> {
        let new_backing = base.map(|base| SharedNode::clone(&self.bases[base.index()]));
        rebase::run(&Rebase {
            top: &self.image,
            new_backing: new_backing.as_ref(),
            compressed: false,
            progress: &Silent,
        })
        .map_err(|failure| failure.error)?;
        let reference = base.map(|base| BackingReference {
            name: self.configuration.rebase_name(base),
            format: Some(base.format().to_owned()),
        });
        self.image.change_backing_reference(reference.as_ref())?;
        self.image.set_backing(new_backing)?;
        self.lies_on = base;
        Ok(())
    }

    /// The disk and the written VM state read as the model has them.
    pub fn reads_as(&self, layer: &Layer) -> Result<(), String> {
        reads_as(&*self.image, layer, &layer.vm_state)
    }

    /// The check finds nothing, and a count of our own agrees; writes what is held back.
    pub fn is_clean(&self) -> Result<(), String> {
        let bytes = |memory: &Memory| memory.snapshot();
        if self.configuration.format == Format::Qcow1 {
            self.image.flush().map_err(|e| e.to_string())?;
            return count::qcow1(&bytes(&self.files.image));
        }
        let mut lines = String::new();
        let report = self
            .image
            .check(Repair::Nothing, &mut |line| lines += line)
            .map_err(|e| format!("check: {e}"))?;
        let faults = CheckReport {
            corruptions: report.corruptions,
            leaks: report.leaks,
            check_errors: report.check_errors,
            ..CheckReport::default()
        };
        if faults != CheckReport::default() || !lines.is_empty() {
            return Err(format!("check: {lines} {faults:?}"));
        }
        count::qcow2(&bytes(&self.files.image))
    }

    /// Every snapshot reads as the model has it, a raw data file is the disk, and a base that took a commit has it.
    /// Everything written so far must be in the file.
    pub fn layers_read_as(&self, model: &Flat) -> Result<(), String> {
        for (number, layer) in &model.snapshots {
            let found = self
                .snapshot(*number, layer)
                .map_err(|error| error.to_string())?;
            found.map_err(|why| format!("s{number}: {why}"))?;
        }
        if self.configuration.data_file == DataFile::Raw {
            let mut stored = self.files.data.snapshot();
            // Whole clusters are stored.
            stored.truncate(model.active.disk.len());
            if let Some(at) = first_difference(&stored, &model.active.disk) {
                return Err(format!("the raw data file differs at {at}"));
            }
        }
        for base in Base::ALL {
            let expected = &model.bases[base.index()];
            let mut read = vec![0xee; expected.len()];
            self.bases[base.index()]
                .read_at(GuestOffset::ZERO, &mut read)
                .map_err(|e| e.to_string())?;
            if let Some(at) = first_difference(&read, expected) {
                return Err(format!("{} differs at {at}", base.file()));
            }
        }
        Ok(())
    }

    fn snapshot(&self, number: u32, layer: &Layer) -> DriverResult<Result<(), String>> {
        let image = open_image(&self.configuration, &self.files, false)?;
        image.set_backing(self.base())?;
        image.snapshot_load(None, Some(&format!("s{number}")))?;
        // A snapshot of another length shows as much as the disk has.
        let mut shown = layer.clone();
        let length = usize::try_from(image.length()?).expect("a disk that fits into memory");
        shown.disk.truncate(length);
        Ok(reads_as(&*image, &shown, &[]))
    }
}

fn first_difference(a: &[u8], b: &[u8]) -> Option<usize> {
    if a == b {
        return None;
    }
    let at = a.iter().zip(b).position(|(a, b)| a != b);
    Some(at.unwrap_or(a.len().min(b.len())))
}

fn reads_as(image: &dyn Node, layer: &Layer, vm_state: &[Option<u8>]) -> Result<(), String> {
    let mut read = vec![0xee; layer.disk.len()];
    image
        .read_at(GuestOffset::ZERO, &mut read)
        .map_err(|e| format!("read: {e}"))?;
    if let Some(at) = first_difference(&read, &layer.disk) {
        let (got, expected) = (read[at], layer.disk[at]);
        return Err(format!("byte {at} is {got}, not {expected}"));
    }
    if vm_state.iter().any(Option::is_some) {
        let mut read = vec![0; vm_state.len()];
        image
            .read_vm_state(0, &mut read)
            .map_err(|e| format!("read of VM state: {e}"))?;
        let wrong = read
            .iter()
            .zip(vm_state)
            .position(|(got, expected)| expected.is_some_and(|expected| expected != *got));
        if let Some(at) = wrong {
            return Err(format!("VM state byte {at} is {}", read[at]));
        }
    }
    Ok(())
}
