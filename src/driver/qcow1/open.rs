//! Opening, in the order of checks of qcow1 §5.

use std::sync::Arc;

use super::image::Qcow1;
use super::tables::Tables;
use crate::base::limits::MAX_REQUEST_BYTES;
use crate::base::size::check_node_length;
use crate::base::{Error, HostOffset, Result};
use crate::crypto::cipher::IvObserver;
use crate::crypto::legacy_aes;
use crate::crypto::secret::Secret;
use crate::driver::encryption::Encryption;
use crate::format::qcow1::header::HEADER_SIZE;
use crate::format::qcow1::{Crypt, Geometry, Header};
use crate::node::{HostFile, Notices};

/// How an image is opened.
#[derive(Clone, Default)]
pub struct Qcow1OpenOptions {
    /// Read and write.
    pub writable: bool,
    /// Only `info` follows: no key is needed.
    pub no_io: bool,
    /// `encrypt.format`.
    pub encrypt_format: Option<String>,
    /// The passphrase that `encrypt.key-secret` names.
    pub key: Option<Secret>,
    /// Watches the IVs.
    pub iv_observer: Option<Arc<dyn IvObserver>>,
    /// Where the driver's remarks go.
    pub notices: Notices,
    /// The name to show; `None`: the file's.
    pub filename: Option<String>,
}

impl Qcow1 {
    /// Opens the image stored in `file`. The backing node is the caller's to open and set.
    pub fn open(file: HostFile, options: Qcow1OpenOptions) -> Result<Arc<Self>> {
        let mut bytes = [0; HEADER_SIZE];
        file.read_at(HostOffset::ZERO, &mut bytes)?;
        let header = Header::parse(&bytes)?;
        let crypt = header.crypt(options.encrypt_format.as_deref())?;
        let encryption = match crypt {
            Crypt::None => None,
            Crypt::Aes if options.no_io => None,
            Crypt::Aes => Some(encryption(options.key.as_ref(), options.iv_observer)?),
        };
        let geometry = header.geometry()?;
        check_l1_reachable(&header, &geometry)?;
        let backing_name = read_backing_name(&file, &header)?;
        let tables = Tables::new(file.clone(), geometry, header.l1_table_offset);
        tables.preload()?;
        Ok(Arc::new(Self {
            tables,
            file,
            geometry,
            encryption,
            encrypted: crypt == Crypt::Aes,
            writable: options.writable,
            backing: None.into(),
            backing_name,
            filename: options.filename,
            allocation: ().into(),
            changing: crate::node::RangeLocks::default(),
        }))
    }
}

fn encryption(key: Option<&Secret>, observer: Option<Arc<dyn IvObserver>>) -> Result<Encryption> {
    let key =
        key.ok_or_else(|| Error::key("Parameter 'encrypt.key-secret' is required for cipher"))?;
    legacy_aes(key, observer).map(Encryption::legacy_aes)
}

/// Check 12. The table is read in pieces later; the real tool reads it here, in one request.
fn check_l1_reachable(header: &Header, geometry: &Geometry) -> Result<()> {
    let end = header
        .l1_table_offset
        .bytes()
        .checked_add(geometry.l1_bytes());
    let reachable = end.is_some_and(|end| i64::try_from(end).is_ok());
    if reachable && geometry.l1_bytes() <= MAX_REQUEST_BYTES {
        Ok(())
    } else {
        Err(Error::eio())
    }
}

/// Checks 13 and 14. A name that starts with a NUL (or lies behind the file) is none.
fn read_backing_name(file: &HostFile, header: &Header) -> Result<Option<String>> {
    let length = header.backing_name_length()?;
    // Of a name without a byte, too.
    let end = header
        .backing_name_offset
        .bytes()
        .checked_add(length as u64);
    if end.is_none_or(|end| check_node_length(end).is_err()) {
        return Err(Error::eio());
    }
    if length == 0 {
        return Ok(None);
    }
    let bytes = file.read_vec(header.backing_name_offset, length)?;
    let name = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    let name = String::from_utf8_lossy(name).into_owned();
    Ok((!name.is_empty()).then_some(name))
}
