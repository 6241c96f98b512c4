//! LUKS1 partition headers, key slots.
