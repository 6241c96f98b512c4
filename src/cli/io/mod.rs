//! `cowproof io`, the drop-in for `qemu-io`.
