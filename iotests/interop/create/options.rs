//! The formats' options and the levels that are tried of each.

use super::{Factor, Matrix};

const fn factor(levels: &'static [&'static str]) -> Factor {
    Factor { levels }
}

const SIZES: Factor = factor(&["1000", "0", "1049088", "9M"]);

const PREALLOCATION: Factor = factor(&[
    "",
    "preallocation=off",
    "preallocation=metadata",
    "preallocation=falloc",
    "preallocation=full",
]);

const COPY_ON_WRITE: Factor = factor(&["", "nocow=on", "nocow=off"]);

const EXTENT_SIZE: Factor = factor(&["", "extent_size_hint=1M", "extent_size_hint=0"]);

const LUKS: &str = "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10";
const LUKS_CBC: &str = "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10,encrypt.cipher-mode=cbc,\
    encrypt.ivgen-alg=essiv,encrypt.ivgen-hash-alg=sha256,encrypt.hash-alg=sha1,encrypt.cipher-alg=aes-128";

const QCOW2: Matrix = Matrix {
    format: "qcow2",
    fixed: "",
    factors: &[
        SIZES,
        factor(&["", "compat=0.10", "compat=1.1", "compat=v3"]),
        factor(&[
            "",
            "cluster_size=512",
            "cluster_size=4k",
            "cluster_size=64k",
            "cluster_size=2M",
        ]),
        factor(&[
            "",
            "refcount_bits=1",
            "refcount_bits=8",
            "refcount_bits=16",
            "refcount_bits=64",
        ]),
        factor(&["", "compression_type=zlib", "compression_type=zstd"]),
        factor(&["", "lazy_refcounts=on", "lazy_refcounts=off"]),
        factor(&["", "extended_l2=on", "extended_l2=off"]),
        PREALLOCATION,
        factor(&[
            "",
            "encrypt.format=aes,encrypt.key-secret=s",
            "encryption=on,encrypt.key-secret=s",
            LUKS,
            LUKS_CBC,
        ]),
        factor(&[
            "",
            "backing_file=base.raw,backing_fmt=raw",
            "-b base.raw -F raw",
            "-u -b gone -F qcow2",
        ]),
        factor(&[
            "",
            "data_file=data",
            "data_file=data,data_file_raw=on",
            "data_file_raw=off",
        ]),
        COPY_ON_WRITE,
        EXTENT_SIZE,
    ],
    rows: 60,
};

const QCOW: Matrix = Matrix {
    format: "qcow",
    fixed: "",
    factors: &[
        SIZES,
        factor(&[
            "",
            "encryption=on,encrypt.key-secret=s",
            "encrypt.format=aes,encrypt.key-secret=s",
            "encryption=off",
            "encrypt.key-secret=s",
            "encrypt.format=luks,encrypt.key-secret=s",
            "encryption=on,encrypt.format=aes,encrypt.key-secret=s",
        ]),
        factor(&[
            "",
            "backing_file=base.raw",
            "backing_file=base.raw,backing_fmt=raw",
            "-b base.raw -F raw",
            "-u -b gone -F raw",
        ]),
        PREALLOCATION,
        COPY_ON_WRITE,
        EXTENT_SIZE,
    ],
    rows: 120,
};

const RAW: Matrix = Matrix {
    format: "raw",
    fixed: "",
    factors: &[
        SIZES,
        PREALLOCATION,
        COPY_ON_WRITE,
        EXTENT_SIZE,
        factor(&["", "-b base.raw -F raw"]),
    ],
    rows: 60,
};

/// Each image costs the real tool seconds whatever `iter-time` says, as it measures the machine first.
const LUKS1: Matrix = Matrix {
    format: "luks",
    fixed: "iter-time=10,key-secret=s",
    factors: &[
        SIZES,
        factor(&[
            "",
            "cipher-alg=aes-128",
            "cipher-alg=aes-192",
            "cipher-alg=aes-256",
            "cipher-alg=serpent-256",
            "cipher-alg=twofish-192",
            "cipher-alg=cast5-128",
        ]),
        factor(&[
            "",
            "cipher-mode=xts",
            "cipher-mode=cbc",
            "cipher-mode=ctr",
            "cipher-mode=ecb",
        ]),
        factor(&[
            "",
            "ivgen-alg=plain",
            "ivgen-alg=plain64",
            "ivgen-alg=essiv,ivgen-hash-alg=sha256",
            "ivgen-alg=essiv",
            "ivgen-hash-alg=sha1",
        ]),
        factor(&[
            "",
            "hash-alg=sha1",
            "hash-alg=sha256",
            "hash-alg=sha512",
            "hash-alg=ripemd160",
        ]),
        factor(&["", "detached-header=on", "detached-header=off"]),
        PREALLOCATION,
        COPY_ON_WRITE,
        EXTENT_SIZE,
    ],
    rows: 12,
};

/// Every format that keeps options of its own.
pub static MATRICES: [Matrix; 4] = [QCOW2, QCOW, RAW, LUKS1];
