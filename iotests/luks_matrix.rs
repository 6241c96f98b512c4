//! Every LUKS combination, both ways against the real tools. Prints how many there were.

#![expect(clippy::unwrap_used, reason = "a test: what is missing must end it")]

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cowproof::base::{IvSector, PayloadOffset};
use cowproof::crypto::secret::Secret;
use cowproof::driver::luks::{
    LuksCreateOptions, UnlockOptions, create_volume, open_volume, plan_volume,
};
use support::Tools;

const CIPHERS: [&str; 10] = [
    "aes-128",
    "aes-192",
    "aes-256",
    "serpent-128",
    "serpent-192",
    "serpent-256",
    "twofish-128",
    "twofish-192",
    "twofish-256",
    "cast5-128",
];
const MODES: [&str; 4] = ["ecb", "cbc", "ctr", "xts"];
const HASHES: [&str; 8] = [
    "md5",
    "sha1",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    "ripemd160",
    "sm3",
];
/// Generator and its hash. A hash beside `plain` and `plain64` is kept and does nothing: one of that kind is enough.
const GENERATORS: [(&str, &str); 11] = [
    ("plain", ""),
    ("plain64", ""),
    ("plain64", "sha1"),
    ("essiv", "md5"),
    ("essiv", "sha1"),
    ("essiv", "sha224"),
    ("essiv", "sha256"),
    ("essiv", "sha384"),
    ("essiv", "sha512"),
    ("essiv", "ripemd160"),
    ("essiv", "sm3"),
];

const OBJECT: &str = "secret,id=s,data=a password";
const PAYLOAD: usize = 64 << 10;

#[derive(Clone, Copy, Debug)]
struct Combination {
    cipher: &'static str,
    mode: &'static str,
    generator: (&'static str, &'static str),
    hash: &'static str,
}

impl Combination {
    /// All of them.
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for cipher in CIPHERS {
            for mode in MODES {
                for generator in GENERATORS {
                    all.extend(HASHES.map(|hash| Self {
                        cipher,
                        mode,
                        generator,
                        hash,
                    }));
                }
            }
        }
        all
    }

    fn settings(&self) -> Vec<(&'static str, &'static str)> {
        let mut settings = vec![
            ("cipher-alg", self.cipher),
            ("cipher-mode", self.mode),
            ("ivgen-alg", self.generator.0),
            ("hash-alg", self.hash),
        ];
        if !self.generator.1.is_empty() {
            settings.push(("ivgen-hash-alg", self.generator.1));
        }
        settings
    }

    fn options(&self) -> LuksCreateOptions {
        let mut options = LuksCreateOptions {
            iter_time_ms: 0,
            ..LuksCreateOptions::default()
        };
        for (name, value) in self.settings() {
            assert!(options.set(name, value, "").unwrap());
        }
        options
    }

    fn words(&self) -> String {
        let settings = self.settings();
        let words = settings
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        words.collect::<Vec<_>>().join(",")
    }

    fn names(&self) -> [String; 4] {
        [
            format!("cipher {}", self.cipher),
            format!("mode {}", self.mode),
            format!("generator {:?}", self.generator),
            format!("hash {}", self.hash),
        ]
    }

    /// 24 * 4000 bytes are no whole sectors: the real tool ends itself after some seconds.
    fn aborts(&self) -> bool {
        self.cipher.ends_with("-192") && self.mode != "xts"
    }
}

fn secret() -> Secret {
    Secret::new(b"a password".to_vec())
}

/// Works on all of `items` on every core; what is wrong is told together.
fn on_all(
    items: &[Combination],
    work: &(dyn Fn(&Combination, &Path) -> Result<(), String> + Sync),
) {
    let next = AtomicUsize::new(0);
    let faults = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                let directory = tempfile::tempdir().unwrap();
                while let Some(one) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(fault) = work(one, directory.path()) {
                        faults.lock().unwrap().push(format!("{one:?}: {fault}"));
                    }
                }
            });
        }
    });
    let faults = faults.into_inner().unwrap();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn run(tool: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(tool).args(arguments).output().unwrap();
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said += &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), said)
}

/// Our volume: written by us, read and written by the real tool, read by us.
fn ours_to_real(real: &Tools, one: &Combination, directory: &Path) -> Result<(), String> {
    let options = one.options();
    let start = usize::try_from(plan_volume(&options).unwrap()).unwrap();
    let mut bytes = vec![0; start + PAYLOAD];
    let mut write = |offset: u64, data: &[u8]| {
        let at = usize::try_from(offset).unwrap();
        bytes[at..at + data.len()].copy_from_slice(data);
        Ok(())
    };
    let volume = create_volume(&options, &secret(), None, &mut write).unwrap();
    let first = IvSector::from_payload(PayloadOffset::ZERO);
    bytes[start..].fill(0xa7);
    volume.cipher.encrypt(first, &mut bytes[start..]);
    let file = directory.join("volume");
    std::fs::write(&file, &bytes).unwrap();
    let image = format!("driver=luks,file.filename={},key-secret=s", file.display());
    let (code, said) = run(
        &real.io,
        &[
            "--object",
            OBJECT,
            "-c",
            "read -P 0xa7 0 64k",
            "-c",
            "write -P 0x5a 3k 50k",
            "--image-opts",
            &image,
        ],
    );
    if code != Some(0) || said.contains("Pattern") {
        return Err(said);
    }
    written_by_the_real_tool(&std::fs::read(&file).unwrap())
}

/// `0x5a` at 3 KiB for 50 KiB at least, read by us.
fn written_by_the_real_tool(bytes: &[u8]) -> Result<(), String> {
    let read = |offset: u64, buffer: &mut [u8]| {
        let at = usize::try_from(offset).unwrap();
        buffer.copy_from_slice(&bytes[at..at + buffer.len()]);
        Ok(())
    };
    let volume = open_volume(&read, Some(&secret()), &UnlockOptions::default())
        .map_err(|error| error.to_string())?;
    let at = usize::try_from(volume.payload_offset()).unwrap() + (3 << 10);
    let mut data = bytes[at..at + (50 << 10)].to_vec();
    let first = IvSector::from_payload(PayloadOffset::new(3 << 10));
    volume.cipher.decrypt(first, &mut data);
    if data.iter().all(|byte| *byte == 0x5a) {
        Ok(())
    } else {
        Err("what the real tool wrote is not read".to_owned())
    }
}

/// A volume that the real tool made and filled, read by us. `clock`: what is preloaded into the tool, if anything.
fn real_to_ours(
    real: &Tools,
    clock: Option<&Path>,
    one: &Combination,
    directory: &Path,
) -> Result<(), String> {
    let file = directory.join("real").display().to_string();
    let source = directory.join("source").display().to_string();
    std::fs::write(&source, vec![0x5a; PAYLOAD]).unwrap();
    let options = format!("key-secret=s,iter-time=10,{}", one.words());
    let mut command = Command::new(&real.img);
    command
        .args(["convert", "-f", "raw", "-O", "luks", "--object", OBJECT])
        .args(["-o", &options, &source, &file]);
    command.envs(clock.map(|clock| ("LD_PRELOAD", clock)));
    let output = command.output().unwrap();
    // The loader's complaint about what it can't preload would be here: the tool would be slow for an hour.
    if !output.status.success() || !output.stderr.is_empty() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    written_by_the_real_tool(&std::fs::read(&file).unwrap())
}

/// The library that makes the real tool's clock run faster, where there is a C compiler.
fn fast_clock(directory: &Path) -> Option<PathBuf> {
    let compiler = program("cc")?;
    let library = directory.join("fast_clock.so");
    let source = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/iotests/luks_matrix/fast_clock.c"
    );
    let output = Command::new(compiler)
        .args(["-shared", "-fPIC", "-O", "-o"])
        .arg(&library)
        .args([source, "-ldl"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(library)
}

/// Both tools refuse it, in the same words.
fn refused_alike(tools: [&Tools; 2], one: &Combination, directory: &Path) -> Result<(), String> {
    let file = directory.join("refused").display().to_string();
    let options = format!("key-secret=s,iter-time=0,{}", one.words());
    let create = [
        "create", "-q", "-f", "luks", "--object", OBJECT, "-o", &options, &file, "64k",
    ];
    let [ours, theirs] = tools.map(|tools| run(&tools.img, &create));
    if ours == theirs && ours.0 == Some(1) {
        Ok(())
    } else {
        Err(format!("ours {ours:?}, theirs {theirs:?}"))
    }
}

/// Every two names that are in one combination.
fn pairs(combinations: &[Combination]) -> BTreeSet<[String; 2]> {
    let mut pairs = BTreeSet::new();
    for one in combinations {
        let names = one.names();
        for (index, first) in names.iter().enumerate() {
            let others = names.iter().skip(index + 1);
            pairs.extend(others.map(|second| [first.clone(), second.clone()]));
        }
    }
    pairs
}

/// The fewest combinations that have each name of each kind in them.
fn one_of_each(accepted: &[Combination]) -> Vec<Combination> {
    let mut missing: BTreeSet<String> = accepted.iter().flat_map(Combination::names).collect();
    let mut chosen = Vec::new();
    while !missing.is_empty() {
        let gain = |one: &&Combination| {
            one.names()
                .iter()
                .filter(|name| missing.contains(*name))
                .count()
        };
        let best = *accepted.iter().max_by_key(gain).unwrap();
        for name in best.names() {
            missing.remove(&name);
        }
        chosen.push(best);
    }
    chosen
}

#[test]
fn every_combination_both_ways() {
    let Some(real) = Tools::real() else {
        eprintln!("skipped(no qemu-img)");
        return;
    };
    let ours = Tools::ours();
    let (accepted, refused): (Vec<_>, Vec<_>) = Combination::all()
        .into_iter()
        .partition(|one| plan_volume(&one.options()).is_ok());
    on_all(&accepted, &|one, directory| {
        ours_to_real(&real, one, directory)
    });
    // The hash has no part in a refusal: one does for all.
    let (aborting, refused): (Vec<_>, Vec<_>) = refused
        .into_iter()
        .filter(|one| one.hash == HASHES[0])
        .partition(Combination::aborts);
    on_all(&refused, &|one, directory| {
        refused_alike([&ours, &real], one, directory)
    });
    // Left alone, the real tool takes seconds for a volume.
    let alone = one_of_each(&accepted);
    on_all(&alone, &|one, directory| {
        real_to_ours(&real, None, one, directory)
    });
    let directory = tempfile::tempdir().unwrap();
    let hurried = fast_clock(directory.path()).map_or(0, |clock| {
        // A fifth has every two names that go together.
        let whole = std::env::var_os("COWPROOF_WHOLE_MATRIX").is_some();
        let step = if whole { 1 } else { 5 };
        let some: Vec<_> = accepted.iter().step_by(step).copied().collect();
        assert_eq!(pairs(&some), pairs(&accepted));
        on_all(&some, &|one, directory| {
            real_to_ours(&real, Some(&clock), one, directory)
        });
        some.len()
    });
    if hurried == 0 {
        eprintln!("skipped(no cc): a fifth of the combinations made by the real tool");
    }
    eprintln!(
        "LUKS: {} combinations made by us, read and written by the real tool, read by us; {hurried} made by the real \
         tool with a fast clock and {} with its own, read by us; {} refused by both in the same words; {} that end \
         the real tool refused by us",
        accepted.len(),
        alone.len(),
        refused.len(),
        aborting.len()
    );
    assert!(accepted.len() > 1000 && refused.len() > 100 && alone.len() >= 10);
}

/// `cryptsetup` is a second implementation of the header, and of key slots where the kernel has the ciphers.
#[test]
fn cryptsetup_reads_our_headers() {
    let Some(cryptsetup) = program("cryptsetup") else {
        eprintln!("skipped(no cryptsetup)");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("volume");
    let mut dumped = 0;
    let mut unlocked = 0;
    for one in Combination::all() {
        // The hash is a word in the header, whatever it is: one does.
        if one.hash != "sha256" || plan_volume(&one.options()).is_err() {
            continue;
        }
        let options = one.options();
        let mut bytes = vec![0; usize::try_from(plan_volume(&options).unwrap()).unwrap() + 512];
        let mut write = |offset: u64, data: &[u8]| {
            let at = usize::try_from(offset).unwrap();
            bytes[at..at + data.len()].copy_from_slice(data);
            Ok(())
        };
        let volume = create_volume(&options, &secret(), None, &mut write).unwrap();
        std::fs::write(&file, &bytes).unwrap();
        let (code, said) = run(&cryptsetup, &["luksDump", file.to_str().unwrap()]);
        assert_eq!(code, Some(0), "{one:?}: {said}");
        let field = |name: &str| {
            let line = said.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(':'))
                .map(|(_, value)| value.trim().to_owned())
        };
        let header = &volume.header;
        let expected = [
            ("Version", "1".to_owned()),
            (
                "Cipher name",
                one.cipher.split('-').next().unwrap().to_owned(),
            ),
            ("Hash spec", "sha256".to_owned()),
            ("Payload offset", header.payload_sector.to_string()),
            ("MK bits", (header.key_bytes * 8).to_string()),
            ("MK iterations", header.digest_iterations.to_string()),
            ("UUID", header.uuid_text()),
        ];
        for (name, value) in expected {
            assert_eq!(field(name), Some(value), "{one:?}: {name}\n{said}");
        }
        let generator = match one.generator {
            (name, "") => name.to_owned(),
            (name, hash) => format!("{name}:{hash}"),
        };
        assert_eq!(
            field("Cipher mode"),
            Some(format!("{}-{generator}", one.mode))
        );
        assert!(said.contains("Key Slot 0: ENABLED") && said.contains("Key Slot 7: DISABLED"));
        dumped += 1;
        unlocked += usize::from(unlocks(&cryptsetup, &file));
    }
    eprintln!("cryptsetup: {dumped} headers of ours dumped, {unlocked} unlocked");
    assert!(dumped > 100);
}

/// False where the kernel has no such cipher; a key slot that it reads otherwise than we do ends the test.
fn unlocks(cryptsetup: &Path, file: &Path) -> bool {
    let key = file.with_extension("key");
    std::fs::write(&key, "a password").unwrap();
    let arguments = ["open", "--test-passphrase", "--type", "luks1", "--key-file"];
    let output = Command::new(cryptsetup)
        .args(arguments)
        .args([&key, file])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("No key available"), "{said}");
    output.status.success()
}

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // Administrators' tools are not on everybody's PATH.
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")])
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
}
