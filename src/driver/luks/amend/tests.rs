use std::cell::RefCell;

use super::super::create_options::LuksCreateOptions;
use super::super::real_tools::{Scratch, attempt, qemu_io};
use super::super::volume::{UnlockOptions, create_volume, open_volume, plan_volume};
use super::*;
use crate::base::limits::LUKS_MAX_ITERATIONS;
use crate::crypto::{CipherAlgorithm, CipherMode};
use crate::node::KeySlotChange;

const SECTOR: usize = 512;

/// A disk that loses what was not flushed, and fails at a chosen operation.
struct Disk {
    durable: Vec<u8>,
    /// Writes since the last flush.
    pending: Vec<(usize, Vec<u8>)>,
    operations_left: usize,
}

impl Disk {
    fn new(bytes: Vec<u8>) -> RefCell<Self> {
        RefCell::new(Self {
            durable: bytes,
            pending: Vec::new(),
            operations_left: usize::MAX,
        })
    }

    fn spend(&mut self) -> Result<()> {
        if self.operations_left == 0 {
            return Err(Error::eio());
        }
        self.operations_left -= 1;
        Ok(())
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) {
        let mut now = self.durable.clone();
        for (start, data) in &self.pending {
            now[*start..start + data.len()].copy_from_slice(data);
        }
        let start = usize::try_from(offset).unwrap();
        buffer.copy_from_slice(&now[start..start + buffer.len()]);
    }

    /// What may be on the disk after a crash now: every subset of the pending writes, and each of them torn.
    fn crash_states(&self) -> Vec<Vec<u8>> {
        assert!(self.pending.len() <= 3, "writes pile up without a flush");
        let mut states = Vec::new();
        for subset in 0..1_u32 << self.pending.len() {
            let mut state = self.durable.clone();
            for (bit, (start, data)) in self.pending.iter().enumerate() {
                if subset >> bit & 1 == 1 {
                    state[*start..start + data.len()].copy_from_slice(data);
                }
            }
            states.push(state);
        }
        for (start, data) in &self.pending {
            for cut in [SECTOR, data.len() / 2 / SECTOR * SECTOR] {
                let cut = cut.min(data.len());
                let mut head = self.durable.clone();
                head[*start..start + cut].copy_from_slice(&data[..cut]);
                states.push(head);
                let mut tail = self.durable.clone();
                tail[start + cut..start + data.len()].copy_from_slice(&data[cut..]);
                states.push(tail);
            }
        }
        states
    }
}

fn secret(text: &str) -> Secret {
    Secret::new(text.into())
}

fn secrets() -> SecretStore {
    let mut store = SecretStore::default();
    for (id, text) in [("s", "first"), ("n", "second"), ("m", "third"), ("e", "")] {
        assert!(store.insert(id, secret(text)));
    }
    store
}

fn options(text: &str) -> Result<KeySlotOptions> {
    let mut change = KeySlotChange::default();
    let mut force = false;
    for pair in text.split(',').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some((name, value)) => assert!(change.set(name, value), "{name}"),
            None => force = pair == "force",
        }
    }
    KeySlotOptions::from_change(&change, force)
}

/// 16-byte keys: the smallest key material.
fn new_disk() -> RefCell<Disk> {
    let create = LuksCreateOptions {
        cipher_algorithm: CipherAlgorithm::Aes128,
        cipher_mode: CipherMode::Cbc,
        iter_time_ms: 0,
        ..LuksCreateOptions::default()
    };
    let size = usize::try_from(plan_volume(&create).unwrap()).unwrap();
    let mut bytes = vec![0; size];
    create_volume(&create, &secret("first"), None, &mut |offset, data| {
        let start = usize::try_from(offset).unwrap();
        bytes[start..start + data.len()].copy_from_slice(data);
        Ok(())
    })
    .unwrap();
    Disk::new(bytes)
}

fn amend(disk: &RefCell<Disk>, unlock: &str, text: &str) -> Result<Header> {
    let (unlock, secrets) = (secret(unlock), secrets());
    let context = AmendContext {
        unlock: &unlock,
        secrets: &secrets,
        detached: false,
        max_iterations: LUKS_MAX_ITERATIONS,
    };
    let mut access = HeaderAccess {
        read: &|offset, buffer| {
            disk.borrow().read(offset, buffer);
            Ok(())
        },
        write: &mut |offset, data| {
            let mut disk = disk.borrow_mut();
            let failed = disk.spend();
            // A write that fails may have happened, or half of it.
            let start = usize::try_from(offset).unwrap();
            disk.pending.push((start, data.to_vec()));
            failed
        },
        flush: &mut || {
            let mut disk = disk.borrow_mut();
            disk.spend()?;
            for (start, data) in std::mem::take(&mut disk.pending) {
                disk.durable[start..start + data.len()].copy_from_slice(&data);
            }
            Ok(())
        },
    };
    amend_volume(&mut access, &context, &options(text)?)
}

fn opens(state: &[u8], passphrase: &str) -> bool {
    let read = |offset: u64, buffer: &mut [u8]| {
        let start = usize::try_from(offset).unwrap();
        buffer.copy_from_slice(&state[start..start + buffer.len()]);
        Ok(())
    };
    open_volume(&read, Some(&secret(passphrase)), &UnlockOptions::default()).is_ok()
}

fn active(header: &Header) -> Vec<usize> {
    (0..SLOT_COUNT)
        .filter(|index| header.slots[*index].active())
        .collect()
}

/// A disk after some changes that go well.
fn prepared(changes: &[&str]) -> RefCell<Disk> {
    let disk = new_disk();
    for change in changes {
        amend(&disk, "first", change).unwrap();
    }
    disk
}

#[test]
fn slots_are_added_and_erased() {
    let disk = new_disk();
    let header = amend(&disk, "first", "state=active,new-secret=n,iter-time=0").unwrap();
    assert_eq!(active(&header), [0, 1]);
    let header = amend(
        &disk,
        "second",
        "state=active,new-secret=m,iter-time=0,keyslot=7",
    )
    .unwrap();
    assert_eq!(active(&header), [0, 1, 7]);
    for passphrase in ["first", "second", "third"] {
        assert!(opens(&disk.borrow().durable, passphrase), "{passphrase}");
    }
    let material = disk.borrow().durable[4096..4096 + 64000].to_vec();
    let header = amend(&disk, "second", "state=inactive,old-secret=s").unwrap();
    assert_eq!(active(&header), [1, 7]);
    assert!(!opens(&disk.borrow().durable, "first"));
    assert_eq!(header.slots[0].iterations, 0);
    assert_eq!(header.slots[0].salt, [0; 32]);
    let noise = &disk.borrow().durable[4096..4096 + 64000].to_vec();
    // Overwritten everywhere: of 64000 random bytes some 250 are the same by chance.
    let same = noise.iter().zip(&material).filter(|(a, b)| a == b).count();
    assert!(same < 600, "{same}");
    let header = amend(&disk, "third", "state=inactive,keyslot=1").unwrap();
    assert_eq!(active(&header), [7]);
    assert!(opens(&disk.borrow().durable, "third"));
    let header = amend(&disk, "third", "state=inactive,keyslot=7,force").unwrap();
    assert!(active(&header).is_empty());
    assert!(!opens(&disk.borrow().durable, "third"));
}

/// Every combination that is refused, asked of the real tool too.
#[test]
fn refusals_are_the_real_tool_s() {
    let Some(scratch) = Scratch::with_real_tools() else {
        return;
    };
    let full = ["state=active,new-secret=n,iter-time=0"; 7];
    let cases: [(&[&str], &[&str]); 3] = [
        (
            &[],
            &[
                "state=active",
                "state=active,old-secret=s",
                "state=active,new-secret=n,old-secret=s",
                "state=active,new-secret=n,keyslot=8",
                "state=active,new-secret=n,keyslot=-1",
                "state=active,new-secret=zz,keyslot=0",
                "state=active,new-secret=zz",
                "state=active,new-secret=n,keyslot=0",
                "state=inactive",
                "state=inactive,new-secret=n,keyslot=5",
                "state=inactive,iter-time=0,old-secret=zz",
                "state=inactive,keyslot=-1",
                "state=inactive,keyslot=9",
                "state=inactive,keyslot=9,old-secret=zz",
                "state=inactive,keyslot=0,old-secret=n",
                "state=inactive,keyslot=0,old-secret=s",
                "state=inactive,keyslot=4,old-secret=s",
                "state=inactive,keyslot=4",
                "state=inactive,keyslot=0",
                "state=inactive,old-secret=n",
                "state=inactive,old-secret=s",
                "state=inactive,keyslot=3,old-secret=s,force",
                "state=inactive,old-secret=n,force",
                "keyslot=1",
            ],
        ),
        (
            &["state=active,new-secret=s,iter-time=0"],
            &[
                "state=inactive,old-secret=s",
                "state=inactive,keyslot=1,old-secret=n",
            ],
        ),
        (
            &full,
            &[
                "state=active,new-secret=n",
                "state=active,new-secret=zz,force",
            ],
        ),
    ];
    for (changes, refused) in cases {
        let disk = prepared(changes);
        let path = scratch.path("slots.luks");
        std::fs::write(&path, &disk.borrow().durable).unwrap();
        let before = disk.borrow().durable.clone();
        for text in refused {
            let error = amend(&disk, "first", text).unwrap_err();
            let image = format!("driver=luks,file.filename={path},key-secret=s");
            let given = text.replace(",force", "");
            let mut arguments = vec!["amend"];
            arguments.extend(text.ends_with(",force").then_some("--force"));
            arguments.extend(["--object", "secret,id=s,data=first"]);
            arguments.extend(["--object", "secret,id=n,data=second"]);
            arguments.extend(["-o", &given, "--image-opts", &image]);
            let (success, said) = attempt("qemu-img", &arguments);
            assert!(!success, "{text}");
            assert_eq!(format!("qemu-img: {error}\n"), said, "{text}");
        }
        assert!(disk.borrow().pending.is_empty() && disk.borrow().durable == before);
    }
}

#[test]
fn the_real_tool_opens_what_we_changed() {
    let Some(scratch) = Scratch::with_real_tools() else {
        return;
    };
    let disk = prepared(&[
        "state=active,new-secret=n,iter-time=0",
        "state=active,new-secret=m,iter-time=0,keyslot=6",
        "state=inactive,keyslot=1",
    ]);
    let mut bytes = disk.borrow().durable.clone();
    bytes.resize(bytes.len() + 4096, 0);
    let path = scratch.path("slots.luks");
    std::fs::write(&path, bytes).unwrap();
    for (passphrase, expected) in [("first", true), ("second", false), ("third", true)] {
        let object = format!("secret,id=s,data={passphrase}");
        let image = format!("driver=luks,file.filename={path},key-secret=s");
        let said = qemu_io(&[
            "--object",
            &object,
            "-c",
            "read 0 512",
            "--image-opts",
            &image,
        ]);
        assert_eq!(
            said.contains("read 512/512"),
            expected,
            "{passphrase}: {said}"
        );
    }
}

/// A fault at every write and flush, and a crash there: some passphrase that opened before the change or that the change
/// brings opens every state that the disk may be in.
#[test]
fn no_fault_loses_the_last_working_slot() {
    let two = ["state=active,new-secret=n,iter-time=0"];
    let three = ["state=active,new-secret=n,iter-time=0"; 2];
    // What went before, the change, and who opens the volume whatever happens.
    let cases: [(&[&str], &str, &[&str]); 6] = [
        (&[], "state=active,new-secret=n,iter-time=0", &["first"]),
        (
            &[],
            "state=active,new-secret=n,iter-time=0,keyslot=6",
            &["first"],
        ),
        (
            &[],
            "state=active,new-secret=n,iter-time=0,keyslot=0,force",
            &["first", "second"],
        ),
        (
            &two,
            "state=active,new-secret=m,iter-time=0,keyslot=0,force",
            &["second"],
        ),
        (&two, "state=inactive,old-secret=s", &["second"]),
        (&three, "state=inactive,old-secret=n", &["first"]),
    ];
    for (before, change, survivors) in cases {
        let start = prepared(before).into_inner();
        let run = |operations: usize| {
            let disk = Disk::new(start.durable.clone());
            disk.borrow_mut().operations_left = operations;
            let result = amend(&disk, "first", change);
            (disk.into_inner(), result)
        };
        let enough = 1000;
        let (after, result) = run(enough);
        result.unwrap();
        let operations = enough - after.operations_left;
        assert!(
            operations >= 4,
            "{change}: {operations} operations can fail"
        );
        for fault in 0..operations {
            let (disk, result) = run(fault);
            assert!(
                result.is_err(),
                "{change}: the fault at operation {fault} was not noticed"
            );
            for state in disk.crash_states() {
                assert!(
                    survivors.iter().any(|passphrase| opens(&state, passphrase)),
                    "{change}: nothing opens the volume after a fault at operation {fault}"
                );
            }
        }
    }
}

/// The control: a header that names material before it is there loses the volume, and the test above would see it.
#[test]
fn the_crash_test_sees_a_wrong_order() {
    let disk = new_disk();
    // Slot 0 is overwritten in place without a stand-in.
    disk.borrow_mut().pending.push((4096, vec![0xee; 64000]));
    let states = disk.borrow().crash_states();
    assert!(states.iter().any(|state| !opens(state, "first")));
    assert!(states.iter().any(|state| opens(state, "first")));
}
