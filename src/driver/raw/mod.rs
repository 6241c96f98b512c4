//! Raw images: the file's bytes are the disk's, optionally a window of them.
