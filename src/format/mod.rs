//! Floor 2: the formats as pure functions: bytes in, values out. No I/O.

pub mod luks1;
pub mod qcow1;
pub mod qcow2;
