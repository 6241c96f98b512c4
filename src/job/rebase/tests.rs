use std::sync::Arc;

use super::*;
use crate::driver::memory::Memory;
use crate::driver::qcow2::create::{Qcow2CreateOptions, create};
use crate::driver::qcow2::{Qcow2, Qcow2OpenOptions};
use crate::job::progress::Silent;
use crate::node::{HostFile, Node as _};

const CLUSTER: usize = 4096;
const CLUSTERS: usize = 8;

/// A layer of 8 clusters without any of its own, above `base`.
fn layer(base: &SharedNode) -> SharedNode {
    let file: SharedNode = Arc::new(Memory::new(Vec::new(), 1 << 30));
    let options = Qcow2CreateOptions {
        size: (CLUSTER * CLUSTERS) as u64,
        cluster_size: CLUSTER as u64,
        ..Qcow2CreateOptions::default()
    };
    create(&HostFile::new(Arc::clone(&file)), &options, &|| {
        Err(Error::key("no key"))
    })
    .unwrap();
    let options = Qcow2OpenOptions {
        writable: true,
        ..Qcow2OpenOptions::default()
    };
    let image = Qcow2::open(HostFile::new(file), &options).unwrap();
    image.set_backing(Some(Arc::clone(base))).unwrap();
    image
}

#[test]
fn only_clusters_that_differ_from_nothing_are_copied() {
    // One byte in one cluster, the last of another, and all of the last.
    let mut old = vec![0; CLUSTER * CLUSTERS];
    old[2 * CLUSTER] = 8;
    old[5 * CLUSTER - 1] = 8;
    old[7 * CLUSTER..].fill(8);
    let base: SharedNode = Arc::new(Memory::new(old.clone(), 1 << 30));
    let top = layer(&base);
    run(&Rebase {
        top: &top,
        new_backing: None,
        compressed: false,
        progress: &Silent,
    })
    .unwrap();
    let stored = |cluster: usize| {
        let offset = GuestOffset::new((cluster * CLUSTER) as u64);
        let found = top.extent(offset, CLUSTER as u64).unwrap();
        found.allocated
    };
    let stored: Vec<usize> = (0..CLUSTERS).filter(|&cluster| stored(cluster)).collect();
    assert_eq!(stored, [2, 4, 7]);
    let mut read = vec![0; CLUSTER * CLUSTERS];
    top.read_at(GuestOffset::ZERO, &mut read).unwrap();
    assert_eq!(read, old);
}
