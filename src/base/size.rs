//! Sizes as people write them ("64M", "1.5G", "0x200") and as the tools print them ("64 MiB").
