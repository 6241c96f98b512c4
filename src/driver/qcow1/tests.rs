//! Against files the real tool wrote, and hand-made images that it mistreats.

mod broken;
mod crash;
mod iv;
mod real;
mod writing;

use std::sync::Arc;

use super::*;
use crate::crypto::secret::Secret;
use crate::driver::memory::Memory;
use crate::node::HostFile;

/// A file in memory and the node that writes to it.
struct Fixture {
    memory: Arc<Memory>,
    image: Arc<Qcow1>,
}

fn memory(bytes: Vec<u8>) -> (Arc<Memory>, HostFile) {
    let memory = Arc::new(Memory::new(bytes, 1 << 30));
    let file = HostFile::new(memory.clone());
    (memory, file)
}

fn options(key: Option<&str>) -> Qcow1OpenOptions {
    Qcow1OpenOptions {
        writable: true,
        key: key.map(|key| Secret::new(key.as_bytes().to_vec())),
        ..Qcow1OpenOptions::default()
    }
}

fn open_bytes(bytes: Vec<u8>, key: Option<&str>) -> crate::base::Result<Fixture> {
    let (memory, file) = memory(bytes);
    let image = Qcow1::open(file, options(key))?;
    Ok(Fixture { memory, image })
}

fn created(size: u64, backing: Option<&str>, key: Option<&str>) -> Vec<u8> {
    let (memory, file) = memory(Vec::new());
    let options = Qcow1CreateOptions {
        size,
        backing: backing.map(ToOwned::to_owned),
        encrypted: key.is_some(),
        key: key.map(|key| Secret::new(key.as_bytes().to_vec())),
    };
    create(&file, &options).unwrap();
    memory.snapshot()
}
