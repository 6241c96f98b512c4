//! `cowproof img`, the drop-in for `qemu-img`: one file a subcommand.
