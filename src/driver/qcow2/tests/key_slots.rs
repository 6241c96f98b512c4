//! A crash at every write of a change of key slots: some passphrase opens the image, and the data is there.

use std::sync::Arc;

use super::super::create::{Qcow2CreateOptions, Qcow2Encryption, create};
use super::super::{Qcow2, Qcow2OpenOptions};
use crate::base::GuestOffset;
use crate::crypto::secret::{Secret, SecretStore};
use crate::crypto::{CipherAlgorithm, CipherMode};
use crate::driver::luks::LuksCreateOptions;
use crate::driver::memory::Memory;
use crate::driver::recorder::{Event, Recorder};
use crate::node::{AmendRequest, HostFile, KeySlotChange, Node, SharedNode};

const CLUSTER: usize = 4096;
const WRITTEN: [u8; CLUSTER] = [0x41; CLUSTER];

fn secret(text: &str) -> Secret {
    Secret::new(text.into())
}

fn secrets() -> SecretStore {
    let mut store = SecretStore::default();
    for (id, text) in [("s", "first"), ("n", "second"), ("m", "third")] {
        assert!(store.insert(id, secret(text)));
    }
    store
}

fn open(file: SharedNode, passphrase: &str) -> crate::base::Result<Arc<Qcow2>> {
    let options = Qcow2OpenOptions {
        writable: true,
        key: Some(secret(passphrase)),
        ..Qcow2OpenOptions::default()
    };
    Qcow2::open(HostFile::new(file), &options)
}

fn amend(file: SharedNode, change: &str) {
    let store = secrets();
    let mut request = AmendRequest::new(&store, &|_, _| ());
    let mut slots = KeySlotChange::default();
    for pair in change.split(',') {
        match pair.split_once('=') {
            Some((name, value)) => assert!(slots.set(name, value), "{name}"),
            None => request.force = pair == "force",
        }
    }
    request.key_slots = Some(slots);
    let image = open(file, "first").unwrap();
    image.amend(&request).unwrap();
    image.close().unwrap();
}

/// An image of one written cluster. 16-byte keys have the smallest key material.
fn start(changes: &[&str]) -> Vec<u8> {
    let memory = Arc::new(Memory::new(Vec::new(), 1 << 30));
    let options = Qcow2CreateOptions {
        size: 1 << 20,
        cluster_size: CLUSTER as u64,
        encryption: Qcow2Encryption::Luks(LuksCreateOptions {
            cipher_algorithm: CipherAlgorithm::Aes128,
            cipher_mode: CipherMode::Cbc,
            iter_time_ms: 0,
            ..LuksCreateOptions::default()
        }),
        ..Qcow2CreateOptions::default()
    };
    let file = HostFile::new(Arc::clone(&memory) as SharedNode);
    create(&file, &options, &|| Ok(secret("first"))).unwrap();
    let image = open(memory.clone(), "first").unwrap();
    image.write_at(GuestOffset::ZERO, &WRITTEN).unwrap();
    image.close().unwrap();
    for change in changes {
        amend(memory.clone(), change);
    }
    memory.snapshot()
}

fn opens(bytes: Vec<u8>, passphrase: &str) -> bool {
    let Ok(image) = open(Arc::new(Memory::new(bytes, 1 << 30)), passphrase) else {
        return false;
    };
    let mut data = [0; CLUSTER];
    image.read_at(GuestOffset::ZERO, &mut data).unwrap();
    data == WRITTEN
}

/// What may be in the file when the first of `events` have happened: everything up to the last flush, and of the rest
/// any subset, the last write torn in the middle too.
fn crashed(start: &[u8], events: &[Event]) -> Vec<Vec<u8>> {
    let durable = events
        .iter()
        .rposition(|event| matches!(event, Event::Flush))
        .map_or(0, |last| last + 1);
    let (durable, pending) = events.split_at(durable);
    assert!(pending.len() <= 3, "writes pile up without a flush");
    let base = Memory::new(start.to_vec(), 1 << 30);
    for event in durable {
        event.replay(&base);
    }
    let with = |chosen: &mut dyn Iterator<Item = &Event>| {
        let file = Memory::new(base.snapshot(), 1 << 30);
        chosen.for_each(|event| event.replay(&file));
        file.snapshot()
    };
    let mut states = Vec::new();
    for subset in 0..1_u32 << pending.len() {
        let chosen = pending.iter().enumerate();
        states.push(with(
            &mut chosen
                .filter(|(bit, _)| subset >> bit & 1 == 1)
                .map(|(_, event)| event),
        ));
    }
    if let Some((Event::Write(offset, data), before)) = pending.split_last() {
        let cut = data.len() / 2 / 512 * 512;
        let torn = Event::Write(*offset, data[..cut].to_vec());
        states.push(with(&mut before.iter().chain([&torn])));
    }
    states
}

#[test]
fn no_crash_loses_the_last_working_key_slot() {
    let second = "state=active,new-secret=n,iter-time=0";
    // What went before, the change, and who opens the image whatever happens.
    let cases: [(&[&str], &str, &[&str]); 4] = [
        (&[], second, &["first"]),
        (
            &[],
            "state=active,new-secret=n,iter-time=0,keyslot=0,force",
            &["first", "second"],
        ),
        (&[second], "state=inactive,old-secret=s", &["second"]),
        (
            &[second],
            "state=active,new-secret=m,iter-time=0,keyslot=0,force",
            &["second"],
        ),
    ];
    for (before, change, survivors) in cases {
        let bytes = start(before);
        let recorder = Arc::new(Recorder::new(bytes.clone()));
        amend(recorder.clone(), change);
        let events = recorder.events.lock().clone();
        assert!(events.len() >= 4, "{change}: {} events", events.len());
        for happened in 0..=events.len() {
            // The passes over erased material are all alike.
            if happened > 24 && happened + 6 < events.len() {
                continue;
            }
            for state in crashed(&bytes, &events[..happened]) {
                assert!(
                    survivors.iter().any(|one| opens(state.clone(), one)),
                    "{change}: nothing opens the image after {happened} of {} events",
                    events.len()
                );
            }
        }
    }
}

/// The control: material overwritten while the header still names it loses the image, and the test above would see it.
#[test]
fn the_crash_test_sees_a_wrong_order() {
    let bytes = start(&[]);
    let area = usize::try_from(u64::from_be_bytes(bytes[120..128].try_into().unwrap())).unwrap();
    let offset = GuestOffset::new((area + 4096) as u64);
    let states = crashed(&bytes, &[Event::Write(offset, vec![0xee; 64000])]);
    assert!(states.iter().any(|state| opens(state.clone(), "first")));
    assert!(states.iter().any(|state| !opens(state.clone(), "first")));
}
