//! I/O past the page cache: offsets, lengths and buffers must be multiples of the device's block.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::base::Result;
use crate::base::error::errno;

/// Large enough for every device in use; smaller blocks divide it.
const BLOCK: u64 = 4096;
const BLOCK_BYTES: usize = 4096;
/// Bytes moved by one system call.
const BOUNCE_BYTES: usize = 1 << 20;

/// A buffer whose usable part starts on a block boundary.
struct Bounce {
    storage: Vec<u8>,
    start: usize,
}

impl Bounce {
    fn new(length: usize) -> Self {
        let storage = vec![0; length + BLOCK_BYTES];
        let start = storage.as_ptr().align_offset(BLOCK_BYTES).min(BLOCK_BYTES);
        Self { storage, start }
    }

    fn bytes(&mut self, length: usize) -> &mut [u8] {
        &mut self.storage[self.start..self.start + length]
    }
}

/// Fills `aligned` from a block-aligned offset; what lies past the end of the file becomes zeros.
fn read_blocks(file: &File, offset: u64, aligned: &mut [u8]) -> Result<()> {
    let mut done = 0;
    while done < aligned.len() {
        match file.read_at(&mut aligned[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(count) => {
                done += count;
                // A count that is no whole block means the end of the file.
                if count % 512 != 0 {
                    break;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            // Right behind a short last block the next offset is unaligned: the end, as well.
            Err(error) if done > 0 && error.raw_os_error() == Some(errno::EINVAL) => break,
            Err(error) => return Err(error.into()),
        }
    }
    aligned[done..].fill(0);
    Ok(())
}

fn window(offset: u64, length: usize) -> (u64, usize, usize) {
    let first = offset & !(BLOCK - 1);
    let head = usize::try_from(offset - first).unwrap_or(0);
    let step = length.min(BOUNCE_BYTES - head);
    (first, head, step)
}

pub(super) fn read(file: &File, offset: u64, buffer: &mut [u8]) -> Result<()> {
    let mut bounce = Bounce::new(BOUNCE_BYTES);
    let mut done = 0;
    while done < buffer.len() {
        let (first, head, step) = window(offset + done as u64, buffer.len() - done);
        let blocks = bounce.bytes((head + step).next_multiple_of(BLOCK_BYTES));
        read_blocks(file, first, blocks)?;
        buffer[done..done + step].copy_from_slice(&blocks[head..head + step]);
        done += step;
    }
    Ok(())
}

/// True when a write covers whole blocks and so reads none.
pub(super) fn whole_blocks(offset: u64, length: usize) -> bool {
    offset.is_multiple_of(BLOCK) && length.is_multiple_of(BLOCK_BYTES)
}

pub(super) fn write_whole_blocks(file: &File, offset: u64, data: &[u8]) -> Result<()> {
    let mut bounce = Bounce::new(BOUNCE_BYTES.min(data.len()));
    let mut position = offset;
    for piece in data.chunks(BOUNCE_BYTES) {
        let blocks = bounce.bytes(piece.len());
        blocks.copy_from_slice(piece);
        file.write_all_at(blocks, position)?;
        position += piece.len() as u64;
    }
    Ok(())
}

/// Any offset and length; nobody else may write meanwhile.
pub(super) fn write(file: &File, file_length: u64, offset: u64, data: &[u8]) -> Result<()> {
    let mut bounce = Bounce::new(BOUNCE_BYTES);
    let mut done = 0;
    while done < data.len() {
        let (first, head, step) = window(offset + done as u64, data.len() - done);
        let length = (head + step).next_multiple_of(BLOCK_BYTES);
        let blocks = bounce.bytes(length);
        if head > 0 || head + step < length {
            read_blocks(file, first, blocks)?;
        }
        blocks[head..head + step].copy_from_slice(&data[done..done + step]);
        file.write_all_at(blocks, first)?;
        done += step;
    }
    // Whole blocks may have made the file longer than what was asked for.
    let wanted_end = file_length.max(offset + data.len() as u64);
    if file.metadata()?.is_file() && file.metadata()?.len() > wanted_end {
        file.set_len(wanted_end)?;
    }
    Ok(())
}
