//! Whether what an operation left behind is sound.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use cowproof::base::GuestOffset;
use cowproof::crypto::secret::SecretStore;
use cowproof::graph::objects::ThrottleGroups;
use cowproof::graph::options::parse_options;
use cowproof::graph::{Environment, ImageArgument, OpenFlags, add_object, open};
use cowproof::node::{Repair, SharedNode};

use super::cases::Operation;
use super::{Bench, Outcome, files, play};

const SECTOR: usize = 512;

/// What the disk reads as, and its snapshots.
struct Content {
    disk: Vec<u8>,
    snapshots: Vec<(&'static str, Vec<u8>)>,
}

/// Knows what there was before and what there is to be.
pub struct Judge<'a> {
    bench: &'a Bench<'a>,
    operation: &'a Operation,
    plain: Outcome,
    plain_files: u64,
    old: Result<Content, String>,
    new: Result<Content, String>,
    /// What was said of a state of the files.
    known: HashMap<u64, Option<String>>,
}

impl<'a> Judge<'a> {
    pub fn new(bench: &'a Bench<'a>, operation: &'a Operation) -> Self {
        bench.reset();
        let old = content(bench);
        let plain = bench.operate(operation, None);
        let plain_files = state(bench);
        let new = content(bench);
        Self {
            bench,
            operation,
            plain,
            plain_files,
            old,
            new,
            known: HashMap::new(),
        }
    }

    /// What is wrong with the operation when nothing goes wrong.
    pub fn trouble(&self) -> Option<String> {
        if self.plain.code != Some(0) && !self.bench.kind.repaired {
            return Some(format!("{:?}", self.plain));
        }
        [&self.old, &self.new]
            .into_iter()
            .find_map(|content| content.as_ref().err().cloned())
    }

    /// The operation went as if there were no fault.
    pub fn is_untouched(&self, outcome: &Outcome) -> bool {
        let same = outcome.code == self.plain.code
            && outcome.text.lines().count() == self.plain.text.lines().count();
        // New keys are other ones each time.
        same && (self.operation.random || state(self.bench) == self.plain_files)
    }

    /// How many different states were seen.
    pub fn states(&self) -> usize {
        self.known.len()
    }

    /// What is wrong with an outcome and what it left; `lasting` when every later request may have failed, too.
    pub fn problem(&mut self, outcome: &Outcome, lasting: bool) -> Option<String> {
        // 2 and 3: `check` found something.
        if !matches!(outcome.code, Some(0..=3)) || outcome.text.contains("panicked") {
            return Some("did not end cleanly".to_owned());
        }
        let state = state(self.bench);
        if let Some(known) = self.known.get(&state) {
            return known.clone();
        }
        let problem = self.unsound(lasting).err();
        self.known.insert(state, problem.clone());
        problem
    }

    fn unsound(&self, lasting: bool) -> Result<(), String> {
        let bench = self.bench;
        let opening = bench.opening(None);
        let mut repaired = bench.kind.repaired || is_dirty(bench);
        if bench.kind.checked {
            let line = "img check -q @";
            let real = play(bench.real, line, &opening, &bench.at);
            let ours = checked(bench)?;
            // Counts and the flags that speak of them are in different clusters: where nothing can be written from then on,
            // one of them is old. Nothing reads such a flag as another cluster.
            repaired |= lasting && only_flags(&real.text);
            let sound = repaired || matches!(real.code, Some(0 | 3));
            if !sound || real.code != Some(ours) {
                return Err(format!("check: real {real:?}, ours {ours:?}"));
            }
        }
        if repaired {
            let repaired = play(bench.real, "img check -q -r all @", &opening, &bench.at);
            if repaired.code != Some(0) {
                return Err(format!("repair: {repaired:?}"));
            }
        }
        let (Ok(old), Ok(new)) = (&self.old, &self.new) else {
            return Err("no content".to_owned());
        };
        let now = content(bench)?;
        mixed(&now.disk, &old.disk, &new.disk)?;
        for (name, bytes) in &now.snapshots {
            let mut known = old.snapshots.iter().chain(&new.snapshots);
            if !known.any(|(other, content)| name == other && bytes == content) {
                return Err(format!("snapshot {name} is another one"));
            }
        }
        let used = play(bench.real, bench.kind.use_again, &opening, &bench.at);
        if used.code != Some(0) {
            return Err(format!("{}: {used:?}", bench.kind.use_again));
        }
        if bench.kind.checked {
            let again = play(bench.real, "img check -q @", &opening, &bench.at);
            if !matches!(again.code, Some(0 | 3)) {
                return Err(format!("check after it was used: {again:?}"));
            }
        }
        Ok(())
    }
}

/// The image says itself that its counts have to be made anew.
fn is_dirty(bench: &Bench<'_>) -> bool {
    const INCOMPATIBLE_FEATURES_END: usize = 79;
    bench.kind.format == "qcow2"
        && std::fs::read(bench.at.join("t")).is_ok_and(|bytes| {
            bytes
                .get(INCOMPATIBLE_FEATURES_END)
                .is_some_and(|byte| byte & 1 == 1)
        })
}

/// Whether `check` found nothing but leaks and flags.
fn only_flags(text: &str) -> bool {
    let harmless =
        |line: &str| line.starts_with("Leaked cluster") || line.starts_with("ERROR OFLAG_COPIED");
    text.lines().all(harmless)
}

/// What the files hold, as a number.
fn state(bench: &Bench<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    let files = files(&bench.at);
    files.hash(&mut hasher);
    hasher.finish()
}

/// Opens the image for reading, in this process: a program more for each state would take twice as long.
fn opened(bench: &Bench<'_>, check: bool) -> Result<SharedNode, String> {
    let mut secrets = SecretStore::default();
    let mut groups = ThrottleGroups::default();
    for object in bench.kind.objects {
        add_object(object, &mut secrets, &mut groups).map_err(|error| error.to_string())?;
    }
    let environment = Environment {
        secrets: secrets.into(),
        ..Environment::default()
    };
    let options = bench.options(None, &format!("{}/", bench.at.display()));
    let image = ImageArgument::Options(parse_options(&options, None).tree);
    let flags = OpenFlags {
        check,
        // A program that another thread starts has the file open for a moment, with its locks.
        force_share: true,
        ..OpenFlags::default()
    };
    open(&image, flags, &environment).map_err(|error| error.to_string())
}

/// The exit code of our `check`.
fn checked(bench: &Bench<'_>) -> Result<i32, String> {
    let node = opened(bench, true)?;
    let report = node.check(Repair::Nothing, &mut |_| {});
    let report = report.map_err(|error| format!("our check: {error}"))?;
    Ok(if report.check_errors > 0 {
        1
    } else if report.corruptions > 0 {
        2
    } else if report.leaks > 0 {
        3
    } else {
        0
    })
}

/// Reads the disk and its snapshots.
fn content(bench: &Bench<'_>) -> Result<Content, String> {
    let read = |snapshot: Option<&str>| -> cowproof::base::Result<Vec<u8>> {
        let node = opened(bench, false).map_err(cowproof::base::Error::caller)?;
        if snapshot.is_some() {
            node.snapshot_load(None, snapshot)?;
        }
        let mut bytes = vec![0; usize::try_from(node.length()?).expect("small images")];
        node.read_at(GuestOffset::new(0), &mut bytes)?;
        Ok(bytes)
    };
    let read = |snapshot: Option<&str>| {
        read(snapshot).map_err(|error| format!("reading {snapshot:?}: {error}"))
    };
    let disk = read(None)?;
    let mut snapshots = Vec::new();
    for name in bench.kind.snapshots {
        snapshots.push((*name, read(Some(name))?));
    }
    Ok(Content { disk, snapshots })
}

/// Every sector is an old or a new one; what a disk of another length has more, are zeros.
fn mixed(now: &[u8], old: &[u8], new: &[u8]) -> Result<(), String> {
    if now.len() != old.len() && now.len() != new.len() {
        return Err(format!("{} bytes long", now.len()));
    }
    let zeros = [0; SECTOR];
    if now == old || now == new {
        return Ok(());
    }
    for (index, sector) in now.chunks(SECTOR).enumerate() {
        let place = index * SECTOR;
        let of = |disk: &'_ [u8]| {
            disk.get(place..place + sector.len())
                .map_or(sector == &zeros[..sector.len()], |other| other == sector)
        };
        if !of(old) && !of(new) {
            return Err(format!("the sector at {place} is neither old nor new"));
        }
    }
    Ok(())
}
