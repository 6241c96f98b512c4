//! Which files to audit: those named, and the images in the directories named.

use std::io;
use std::path::{Path, PathBuf};

use crate::audit::{Format, probe_file};

/// Directories inside directories, at most.
const DEPTH_MAX: usize = 64;

/// A file to audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: PathBuf,
}

/// The files, in the order given, directories sorted. Links inside directories are not followed.
pub(super) fn find(named: &[PathBuf]) -> io::Result<Vec<Found>> {
    let mut files = Vec::new();
    for path in named {
        if path.is_dir() {
            collect(path, 0, &mut files)?;
        } else {
            files.push(Found { path: path.clone() });
        }
    }
    Ok(files)
}

fn collect(directory: &Path, depth: usize, files: &mut Vec<Found>) -> io::Result<()> {
    let named = |error: io::Error| {
        io::Error::new(error.kind(), format!("{}: {error}", directory.display()))
    };
    let mut entries = std::fs::read_dir(directory)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .map_err(named)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type()?;
        let path = entry.path();
        if kind.is_dir() && depth < DEPTH_MAX {
            collect(&path, depth + 1, files)?;
        } else if kind.is_file() {
            // What can't be read is reported when it is audited; what is no image is passed over.
            let image = probe_file(&path).map_or(true, |format| format != Format::Raw);
            if image {
                files.push(Found { path });
            }
        }
    }
    Ok(())
}
