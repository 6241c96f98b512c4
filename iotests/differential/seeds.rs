//! Healthy images of every kind, made by the real tools.

use std::path::Path;
use std::process::Command;

use crate::fields::{self, Field};
use crate::support::Tools;

/// What every locked image is locked with.
pub const SECRET: [&str; 2] = ["--object", "secret,id=s,data=pw"];

/// How one is made.
struct Recipe {
    name: &'static str,
    driver: &'static str,
    options: &'static str,
    size: &'static str,
    /// What the option tree needs for the key, with its comma.
    key: &'static str,
    /// `io …`, or arguments of `qemu-img` in which `image` is its name.
    steps: &'static [&'static str],
}

const fn recipe(
    name: &'static str,
    driver: &'static str,
    options: &'static str,
    size: &'static str,
    steps: &'static [&'static str],
) -> Recipe {
    Recipe {
        name,
        driver,
        options,
        size,
        key: "",
        steps,
    }
}

const fn locked(key: &'static str, mut recipe: Recipe) -> Recipe {
    recipe.key = key;
    recipe
}

const INNER: &str = ",encrypt.key-secret=s";
const OUTER: &str = ",key-secret=s";

const DATA: &[&str] = &[
    "io write -P 1 0 6k",
    "io write -z 8k 2k",
    "io write -P 2 30k 9k",
];
const SNAPSHOTS: &[&str] = &[
    "io write -P 1 0 16k",
    "snapshot -c one image",
    "io write -P 2 4k 4k",
    "snapshot -c two image",
    "io write -P 3 8k 12k",
];
const COMPRESSED: &[&str] = &[
    "io write -c -P 1 0 4k",
    "io write -c -P 2 4k 4k",
    "io write -P 3 8k 4k",
    "io write -c -P 4 16k 4k",
];
const BITMAPS: &[&str] = &[
    "bitmap --add -g 4k image b0",
    "bitmap --add -g 512 image b1",
    "io write -P 1 0 8k",
    "bitmap --disable image b1",
];

const RECIPES: &[Recipe] = &[
    recipe("v3-512", "qcow2", "cluster_size=512", "64k", DATA),
    recipe(
        "v2-512",
        "qcow2",
        "compat=0.10,cluster_size=512",
        "64k",
        DATA,
    ),
    recipe("v3-4k", "qcow2", "cluster_size=4k", "64k", DATA),
    recipe("v3-64k", "qcow2", "", "1M", DATA),
    recipe("2m", "qcow2", "cluster_size=2M", "4M", &["io write 0 4k"]),
    recipe("snap-512", "qcow2", "cluster_size=512", "64k", SNAPSHOTS),
    recipe("snap-4k", "qcow2", "cluster_size=4k", "64k", SNAPSHOTS),
    recipe(
        "snap-v2",
        "qcow2",
        "cluster_size=4k,compat=0.10",
        "64k",
        SNAPSHOTS,
    ),
    recipe("zlib", "qcow2", "cluster_size=4k", "64k", COMPRESSED),
    recipe(
        "zstd",
        "qcow2",
        "cluster_size=4k,compression_type=zstd",
        "64k",
        COMPRESSED,
    ),
    recipe("bitmaps", "qcow2", "cluster_size=4k", "64k", BITMAPS),
    recipe(
        "refcount1",
        "qcow2",
        "cluster_size=512,refcount_bits=1",
        "64k",
        DATA,
    ),
    recipe(
        "refcount64",
        "qcow2",
        "cluster_size=512,refcount_bits=64",
        "64k",
        SNAPSHOTS,
    ),
    recipe(
        "lazy",
        "qcow2",
        "cluster_size=4k,lazy_refcounts=on",
        "64k",
        DATA,
    ),
    recipe(
        "extended",
        "qcow2",
        "cluster_size=16k,extended_l2=on",
        "64k",
        DATA,
    ),
    recipe(
        "data-file",
        "qcow2",
        "cluster_size=4k,data_file=base",
        "64k",
        DATA,
    ),
    recipe(
        "backed",
        "qcow2",
        "cluster_size=4k,backing_file=base,backing_fmt=raw",
        "64k",
        DATA,
    ),
    locked(
        INNER,
        recipe(
            "luks-inside",
            "qcow2",
            "cluster_size=4k,encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=1,encrypt.cipher-alg=aes-128",
            "64k",
            DATA,
        ),
    ),
    locked(
        INNER,
        recipe(
            "aes-inside",
            "qcow2",
            "cluster_size=4k,encrypt.format=aes,encrypt.key-secret=s",
            "64k",
            DATA,
        ),
    ),
    recipe("qcow1", "qcow", "", "64k", DATA),
    recipe(
        "qcow1-compressed",
        "qcow",
        "",
        "64k",
        &["io write -c -P 1 0 4k", "io write -P 2 8k 4k"],
    ),
    recipe(
        "qcow1-backed",
        "qcow",
        "backing_file=base,backing_fmt=raw",
        "64k",
        DATA,
    ),
    locked(
        INNER,
        recipe(
            "qcow1-aes",
            "qcow",
            "encrypt.format=aes,encrypt.key-secret=s",
            "64k",
            DATA,
        ),
    ),
    locked(
        OUTER,
        recipe(
            "luks-xts",
            "luks",
            "key-secret=s,iter-time=1,cipher-alg=aes-128",
            "64k",
            DATA,
        ),
    ),
    locked(
        OUTER,
        recipe(
            "luks-essiv",
            "luks",
            "key-secret=s,iter-time=1,cipher-alg=aes-128,cipher-mode=cbc,ivgen-alg=essiv,ivgen-hash-alg=sha256,hash-alg=sha1",
            "64k",
            DATA,
        ),
    ),
];

/// One healthy image with its map.
pub struct Seed {
    pub name: &'static str,
    pub driver: &'static str,
    pub key: &'static str,
    pub bytes: Vec<u8>,
    pub fields: Vec<Field>,
}

/// All of them, and the file that some stand on.
pub struct Seeds {
    pub list: Vec<Seed>,
    /// `base`: a backing file or data file.
    pub base: Vec<u8>,
}

impl Seeds {
    pub fn made_by(tools: &Tools) -> Self {
        let room = tempfile::tempdir().expect("a temporary directory");
        let list = RECIPES
            .iter()
            .map(|recipe| make(recipe, tools, room.path()))
            .collect();
        Self { list, base: base() }
    }
}

fn base() -> Vec<u8> {
    (0..48u8).flat_map(|page| [page | 0x80; 1024]).collect()
}

fn run(command: &mut Command) {
    let output = command.output().expect("the tool starts");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn make(recipe: &Recipe, tools: &Tools, room: &Path) -> Seed {
    std::fs::write(room.join("base"), base()).expect("the backing file");
    let mut create = Command::new(&tools.img);
    create
        .current_dir(room)
        .args(["create", "-q", "-f", recipe.driver])
        .args(SECRET);
    if !recipe.options.is_empty() {
        create.args(["-o", recipe.options]);
    }
    run(create.args(["image", recipe.size]));
    let tree = format!("driver={},file.filename=image{}", recipe.driver, recipe.key);
    for step in recipe.steps {
        if let Some(line) = step.strip_prefix("io ") {
            run(Command::new(&tools.io)
                .current_dir(room)
                .args(SECRET)
                .args(["-c", line, "--image-opts", &tree]));
        } else {
            run(Command::new(&tools.img)
                .current_dir(room)
                .args(step.split_whitespace()));
        }
    }
    let bytes = std::fs::read(room.join("image")).expect("the image");
    let fields = fields::of(recipe.driver, &bytes);
    assert!(fields.len() > 10, "no map of {}", recipe.name);
    Seed {
        name: recipe.name,
        driver: recipe.driver,
        key: recipe.key,
        bytes,
        fields,
    }
}
