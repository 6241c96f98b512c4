//! qcow version 1.
