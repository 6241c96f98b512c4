//! Host files with the real tools' locks.
