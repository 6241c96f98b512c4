//! Base64 and AES-256-CBC around a secret, with the real tools' tolerance and words (luks1 §10).

use zeroize::Zeroizing;

use super::algorithm::CipherAlgorithm;
use super::block_run::block_cipher;
use super::secret::{Secret, SecretFormat};
use crate::base::{Error, Result};

const KEY_BYTES: usize = 32;
const BLOCK: usize = 16;

/// Decodes as the real tools do, which is laxer than RFC 4648: a group left short at the end is dropped, `=`
/// stands anywhere and is zero bits, and drops a byte only in the last two places of its group. Newlines are skipped.
pub(super) fn decode_base64(text: &[u8]) -> Result<Vec<u8>> {
    let mut digits = Zeroizing::new(Vec::with_capacity(text.len()));
    for byte in text {
        digits.push(match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => PADDING,
            b'\n' => continue,
            _ => return Err(Error::caller("Base64 data contains invalid characters")),
        });
    }
    let mut decoded = Vec::with_capacity(digits.len() / 4 * 3);
    let (groups, _) = digits.as_chunks::<4>();
    for group in groups {
        let [a, b, c, d] = group.map(|digit| if digit == PADDING { 0 } else { digit });
        decoded.push(a << 2 | b >> 4);
        if group[2] != PADDING {
            decoded.push(b << 4 | c >> 2);
        }
        if group[3] != PADDING {
            decoded.push(c << 6 | d);
        }
    }
    Ok(decoded)
}

const PADDING: u8 = 64;

/// Decrypts `content`, looking for faults in the order in which the real tools do.
pub(super) fn decrypt(
    key: &Secret,
    iv: Option<&str>,
    format: SecretFormat,
    content: &Secret,
) -> Result<Secret> {
    if key.bytes().len() != KEY_BYTES {
        return Err(Error::key(format!(
            "Key should be {KEY_BYTES} bytes in length"
        )));
    }
    let iv = iv.ok_or_else(|| Error::key("IV is required to decrypt secret"))?;
    let iv = decode_base64(iv.as_bytes())?;
    let iv: [u8; BLOCK] = iv.try_into().map_err(|iv: Vec<u8>| {
        Error::key(format!(
            "IV should be {BLOCK} bytes in length not {}",
            iv.len()
        ))
    })?;
    let mut data = Zeroizing::new(match format {
        SecretFormat::Raw => content.bytes().to_vec(),
        SecretFormat::Base64 => decode_base64(content.bytes())?,
    });
    if !data.len().is_multiple_of(BLOCK) {
        return Err(Error::key(format!(
            "Length {} must be a multiple of block size {BLOCK}",
            data.len()
        )));
    }
    let cipher = block_cipher(CipherAlgorithm::Aes256, key.bytes())?;
    let mut chain = iv;
    for block in data.chunks_exact_mut(BLOCK) {
        let mut stored = [0; BLOCK];
        stored.copy_from_slice(block);
        cipher.decrypt_run(block);
        for (byte, previous) in block.iter_mut().zip(chain) {
            *byte ^= previous;
        }
        chain = stored;
    }
    without_padding(&data).map(|plain| Secret::new(plain.to_vec()))
}

/// Only the last padding byte is looked at, as in the real tools.
fn without_padding(data: &[u8]) -> Result<&[u8]> {
    let Some(last) = data.last() else {
        return Ok(data);
    };
    let padding = usize::from(*last);
    let wrong = || {
        Error::key(format!(
            "Incorrect number of padding bytes ({padding}) found on decrypted data"
        ))
    };
    if padding > BLOCK {
        return Err(wrong());
    }
    let length = data.len().checked_sub(padding).ok_or_else(wrong)?;
    data.get(..length).ok_or_else(wrong)
}
