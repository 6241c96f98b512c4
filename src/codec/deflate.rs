//! Raw deflate (qcow2 §5, qcow1 §4).

use std::cell::RefCell;

use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};

use crate::base::{Error, Result};

/// What writers use, so that readers with a window of 4 KiB can read it.
const WRITE_WINDOW_BITS: u8 = 12;
/// What readers accept.
const READ_WINDOW_BITS: u8 = 15;

/// zlib-rs's steps differ from zlib's: this one packs as tightly as the real tools' default, and is the fastest
/// that does (`tools/bench.py --rows zlib`).
const LEVEL: u32 = 5;

thread_local! {
    static COMPRESS: RefCell<Compress> = RefCell::new(Compress::new_with_window_bits(
        flate2::Compression::new(LEVEL),
        false,
        WRITE_WINDOW_BITS,
    ));
    static DECOMPRESS: RefCell<Decompress> =
        RefCell::new(Decompress::new_with_window_bits(false, READ_WINDOW_BITS));
}

/// Room for any `length` bytes, also where nothing can be compressed.
const fn bound(length: usize) -> usize {
    length + length / 8 + length / 64 + 64
}

pub(super) fn compress(data: &[u8], out: &mut Vec<u8>) -> Result<bool> {
    out.clear();
    // Not only as much as is worth it: a stream that was not written to its end leaves its position in zlib-rs's buffer
    // (0.6.8), also after a reset, and some streams later there is no room any more, which is a panic.
    out.resize(bound(data.len()), 0);
    let fits = COMPRESS.with_borrow_mut(|context| {
        context.reset();
        let status = context.compress(data, out, FlushCompress::Finish);
        let length = usize::try_from(context.total_out()).unwrap_or(usize::MAX);
        let fits = matches!(status, Ok(Status::StreamEnd)) && length < data.len();
        out.truncate(if fits { length } else { 0 });
        status.map(|_| fits)
    });
    fits.map_err(|error| Error::eio().with_source(error))
}

pub(super) fn decompress(data: &[u8], out: &mut [u8]) -> Result<()> {
    DECOMPRESS.with_borrow_mut(|context| {
        context.reset(false);
        // The data may be cut off by the descriptor's length: what counts is that `out` was filled.
        let status = context.decompress(data, out, FlushDecompress::Finish);
        if context.total_out() == out.len() as u64 {
            return Ok(());
        }
        Err(match status {
            Ok(_) => Error::eio(),
            Err(error) => Error::eio().with_source(error),
        })
    })
}
