//! zstd frames (qcow2 §5).

use std::cell::RefCell;

use zstd::zstd_safe::{CCtx, DCtx, DParameter, InBuffer, OutBuffer, get_error_name};

use crate::base::{Error, Result};

/// The largest window that is accepted: the library's own default limit, and QEMU's.
const WINDOW_LOG_MAX: u32 = 27;

thread_local! {
    static COMPRESS: RefCell<Option<CCtx<'static>>> = RefCell::new(CCtx::try_create());
    static DECOMPRESS: RefCell<Option<DCtx<'static>>> = RefCell::new(new_decompressor());
}

fn new_decompressor() -> Option<DCtx<'static>> {
    let mut context = DCtx::try_create()?;
    context
        .set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))
        .ok()?;
    Some(context)
}

fn out_of_memory() -> Error {
    Error::bare(crate::base::error::errno::ENOMEM)
}

/// One frame with its content size, without checksum, at the default level.
pub(super) fn compress(data: &[u8], out: &mut Vec<u8>) -> Result<bool> {
    out.clear();
    // One byte less than the data: not to fit is the same as not to be worth it.
    out.resize(data.len().saturating_sub(1), 0);
    COMPRESS.with_borrow_mut(|context| {
        let context = context.as_mut().ok_or_else(out_of_memory)?;
        // Nothing but a buffer that is too small can go wrong with data in memory.
        let length = context.compress2(out.as_mut_slice(), data).unwrap_or(0);
        out.truncate(length);
        Ok(length > 0)
    })
}

/// One frame or several, until `out` is full. A frame that holds more than that is broken.
pub(super) fn decompress(data: &[u8], out: &mut [u8]) -> Result<()> {
    DECOMPRESS.with_borrow_mut(|context| {
        let context = context.as_mut().ok_or_else(out_of_memory)?;
        context.init().map_err(decode_error)?;
        let mut output = OutBuffer::around(out);
        let mut input = InBuffer::around(data);
        while output.pos() < output.capacity() {
            let before = (input.pos(), output.pos());
            let missing = context
                .decompress_stream(&mut output, &mut input)
                .map_err(decode_error)?;
            if missing > 0 && output.pos() == output.capacity() {
                return Err(Error::eio());
            }
            if before == (input.pos(), output.pos()) {
                return Err(Error::eio());
            }
        }
        Ok(())
    })
}

fn decode_error(code: usize) -> Error {
    Error::eio().with_source(get_error_name(code))
}
