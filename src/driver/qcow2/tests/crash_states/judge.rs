//! What must hold after a crash: the image opens; no count is too low, unless the dirty bit says so, and a repair
//! leaves nothing to complain about; every byte is that of the last flush or of an operation since; snapshots keep all
//! their bytes, also when the image is used on.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::super::testing::tool;
use super::workload::{Configuration, History, Layers, Start};
use crate::base::GuestOffset;
use crate::driver::memory::Memory;
use crate::driver::qcow2::{Qcow2, Qcow2OpenOptions};
use crate::node::{HostFile, Node, Repair, SharedNode};

const CAP: u64 = 64 << 20;
/// One state in so many is shown to the real tool, and one is repaired and used on.
const REAL_ONE_IN: usize = 200;
const USED_ONE_IN: usize = 16;
/// The byte of the header that has the dirty bit.
const DIRTY_BYTE: usize = 79;

pub struct Judge<'a> {
    start: &'a Start,
    /// Counts what the real tool saw; `None` without it.
    real: Option<&'a AtomicUsize>,
    directory: Option<tempfile::TempDir>,
    seen: AtomicUsize,
}

/// States of all workloads, so that the samples are not always the first of one.
static NUMBER: AtomicUsize = AtomicUsize::new(0);

impl<'a> Judge<'a> {
    pub fn new(start: &'a Start, real: Option<&'a AtomicUsize>) -> Self {
        Self {
            start,
            real,
            directory: real.map(|_| tempfile::tempdir().unwrap()),
            seen: AtomicUsize::new(NUMBER.fetch_add(7, Ordering::Relaxed)),
        }
    }

    /// Judges the file that a crash left; its layers are among those of `steps`.
    pub fn state(
        &self,
        history: &History,
        bytes: &[u8],
        steps: RangeInclusive<usize>,
    ) -> Result<(), String> {
        let candidates: Vec<&Layers> = history.steps[steps].iter().map(|step| &step.1).collect();
        self.file(bytes, &candidates, history.shortest)
    }

    /// The same for any file: its disk is made of the candidates' bytes.
    pub fn file(
        &self,
        bytes: &[u8],
        candidates: &[&Layers],
        shortest: usize,
    ) -> Result<(), String> {
        self.holds(bytes, candidates, shortest)?;
        let dirty = self.start.configuration != Configuration::V2 && bytes[DIRTY_BYTE] & 1 != 0;
        let number = self.seen.fetch_add(1, Ordering::Relaxed);
        let lines = Self::check(bytes, Repair::Nothing)?.1;
        // Counts and flags can't change at once: a flag may be behind, as with the real tool.
        let is_flag = |line: &str| line.contains("OFLAG_COPIED");
        let harmless = |line: &str| is_flag(line) || line.starts_with("Leaked");
        if let Some(line) = lines.iter().find(|line| !dirty && !harmless(line)) {
            return Err(format!("check: {line}"));
        }
        let flags = lines.iter().any(|line| is_flag(line));
        if dirty || flags || number.is_multiple_of(USED_ONE_IN) {
            self.is_usable(bytes, candidates, shortest)?;
        }
        if let Some(count) = self.real
            && number.is_multiple_of(REAL_ONE_IN)
        {
            count.fetch_add(1, Ordering::Relaxed);
            self.real_check(bytes, dirty)?;
        }
        Ok(())
    }

    /// Every byte is one that some candidate has there.
    fn holds(&self, bytes: &[u8], candidates: &[&Layers], shortest: usize) -> Result<(), String> {
        let file: SharedNode = Arc::new(Memory::new(bytes.to_vec(), CAP));
        let image = self.start.open(Arc::clone(&file), false, None)?;
        let disk = read(&image)?;
        if !candidates
            .iter()
            .any(|layers| layers.disk.len() == disk.len())
        {
            return Err(format!("the disk has {} bytes", disk.len()));
        }
        let allowed = |at: usize, byte: u8| {
            may_be_gone(shortest, at, byte)
                || candidates
                    .iter()
                    .any(|layers| layers.disk.get(at) == Some(&byte))
        };
        if let Some(at) = (0..disk.len()).find(|&at| !allowed(at, disk[at])) {
            return Err(format!("byte {at} is {:#x}, neither old nor new", disk[at]));
        }
        self.snapshots_hold(&file, &image, candidates, shortest)
    }

    fn snapshots_hold(
        &self,
        file: &SharedNode,
        image: &Qcow2,
        candidates: &[&Layers],
        shortest: usize,
    ) -> Result<(), String> {
        let stored = image.snapshots().map_err(|error| error.to_string())?;
        let number = |name: &str| name.strip_prefix('s')?.parse().ok();
        let numbers: Option<Vec<u64>> = stored.iter().map(|stored| number(&stored.name)).collect();
        let numbers = numbers.ok_or("a snapshot without its name")?;
        for &number in &numbers {
            let image = self.start.open(Arc::clone(file), false, None)?;
            let at = |error: crate::base::Error| format!("snapshot {number}: {error}");
            image
                .snapshot_load(None, Some(&format!("s{number}")))
                .map_err(at)?;
            let disk = read(&image).map_err(|error| format!("snapshot {number}: {error}"))?;
            let taken: Vec<&Vec<u8>> = candidates
                .iter()
                .flat_map(|layers| &layers.snapshots)
                .filter(|(other, _)| *other == number)
                .map(|(_, content)| content)
                .collect();
            let shown = taken.iter().map(|content| content.len()).max();
            let shown = disk.len().min(shown.unwrap_or(usize::MAX));
            let known = |at: usize| {
                may_be_gone(shortest, at, disk[at])
                    || taken
                        .iter()
                        .any(|content| content.get(at) == Some(&disk[at]))
            };
            if !(0..shown).all(known) {
                return Err(format!("snapshot {number} is not what was taken"));
            }
        }
        let kept = |number: &u64| {
            candidates
                .iter()
                .all(|layers| layers.snapshots.iter().any(|(other, _)| other == number))
        };
        let gone = candidates[0]
            .snapshots
            .iter()
            .map(|(number, _)| number)
            .find(|number| kept(number) && !numbers.contains(number));
        match gone {
            Some(number) => Err(format!("snapshot {number} is gone")),
            None => Ok(()),
        }
    }

    /// The file after a check, and what the check said.
    fn check(bytes: &[u8], repair: Repair) -> Result<(Vec<u8>, Vec<String>), String> {
        let file = Arc::new(Memory::new(bytes.to_vec(), CAP));
        let options = Qcow2OpenOptions {
            check: true,
            no_io: true,
            writable: repair != Repair::Nothing,
            ..Qcow2OpenOptions::default()
        };
        let host = HostFile::new(Arc::clone(&file) as SharedNode);
        let image =
            Qcow2::open(host, &options).map_err(|error| format!("open to check: {error}"))?;
        let mut lines = Vec::new();
        image
            .check(repair, &mut |line| lines.push(line.to_owned()))
            .and_then(|_| image.close())
            .map_err(|error| format!("check: {error}"))?;
        Ok((file.snapshot(), lines))
    }

    /// Repaired, nothing is wrong and nothing has changed; written over, snapshots stay as they are.
    fn is_usable(
        &self,
        bytes: &[u8],
        candidates: &[&Layers],
        shortest: usize,
    ) -> Result<(), String> {
        let repaired = Self::check(bytes, Repair::All)?.0;
        let lines = Self::check(&repaired, Repair::Nothing)?.1;
        if let Some(line) = lines.first() {
            return Err(format!("after the repair: {line}"));
        }
        self.holds(&repaired, candidates, shortest)
            .map_err(|why| format!("after the repair: {why}"))?;
        // As somebody does who does not look at the flags first. Opening repairs an image that is dirty.
        let file = Arc::new(Memory::new(bytes.to_vec(), CAP));
        let image = self
            .start
            .open(Arc::clone(&file) as SharedNode, true, None)?;
        let over = vec![0x77; usize::try_from(image.length().unwrap()).unwrap()];
        image
            .write_at(GuestOffset::ZERO, &over)
            .and_then(|()| image.close())
            .map_err(|error| format!("written over: {error}"))?;
        let file: SharedNode = Arc::new(Memory::new(file.snapshot(), CAP));
        let image = self.start.open(Arc::clone(&file), false, None)?;
        if read(&image)? != over {
            return Err("written over: the disk is something else".to_owned());
        }
        self.snapshots_hold(&file, &image, candidates, shortest)
            .map_err(|why| format!("written over: {why}"))
    }

    fn real_check(&self, bytes: &[u8], dirty: bool) -> Result<(), String> {
        let path = self.directory.as_ref().unwrap().path().join("crash.qcow2");
        std::fs::write(&path, bytes).unwrap();
        let options = match self.start.configuration {
            Configuration::Aes | Configuration::Luks => ",encrypt.key-secret=s",
            _ => "",
        };
        let options = format!("driver=qcow2,file.filename={}{options}", path.display());
        let secret = "secret,id=s,data=open sesame";
        let words = ["check", "--object", secret, "--image-opts", &options];
        let (_, said) = tool("qemu-img", &words);
        let bad = |line: &str| {
            line.contains("ERROR") && !line.contains("OFLAG_COPIED") || line.contains("not open")
        };
        match said.lines().find(|line| !dirty && bad(line)) {
            Some(line) => Err(format!("qemu-img check: {line}")),
            None => Ok(()),
        }
    }
}

/// What a resize drops may read as zeros before the length has changed, or when it fails half-way.
const fn may_be_gone(shortest: usize, at: usize, byte: u8) -> bool {
    byte == 0 && at >= shortest
}

fn read(image: &Qcow2) -> Result<Vec<u8>, String> {
    let mut disk = vec![0xee; usize::try_from(image.length().unwrap()).unwrap()];
    image
        .read_at(GuestOffset::ZERO, &mut disk)
        .map_err(|error| format!("read: {error}"))?;
    Ok(disk)
}
