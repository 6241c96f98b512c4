//! The exact command that repairs a finding: always a new image with a new key, never a copy.

use std::path::Path;

/// A word for the shell.
fn quoted(word: &str) -> String {
    let plain = |one: char| one.is_ascii_alphanumeric() || "/._-+=,:@%".contains(one);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// `IMAGE` → `IMAGE` without its ending and `-new.qcow2`.
fn new_name(path: &Path) -> String {
    let stem = path.with_extension("");
    format!("{}-new.qcow2", stem.display())
}

/// Where the image's own password goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKey {
    /// Not encrypted.
    None,
    /// qcow and qcow2: `encrypt.key-secret`.
    Embedded,
    /// LUKS: `key-secret`.
    Standalone,
}

/// Converts the active state into a new LUKS image, with a master key of its own.
pub fn convert(path: &Path, driver: &str, key: SourceKey) -> String {
    // Commas end an option: they are doubled.
    let name = path.to_string_lossy().replace(',', ",,");
    let mut source = format!("driver={driver},file.filename={name}");
    let old = match key {
        SourceKey::None => "",
        SourceKey::Embedded => {
            source.push_str(",encrypt.key-secret=old");
            "--object secret,id=old,file=OLD-PASSWORD-FILE "
        }
        SourceKey::Standalone => {
            source.push_str(",key-secret=old");
            "--object secret,id=old,file=OLD-PASSWORD-FILE "
        }
    };
    format!(
        "qemu-img convert {old}--object secret,id=new,file=NEW-PASSWORD-FILE -O qcow2 \
         -o encrypt.format=luks,encrypt.key-secret=new --image-opts {} {}",
        quoted(&source),
        quoted(&new_name(path))
    )
}

/// Erases a key slot.
pub fn erase_slot(path: &Path, driver: &str, slot: usize) -> String {
    let name = path.to_string_lossy().replace(',', ",,");
    let prefix = if driver == "luks" { "" } else { "encrypt." };
    let source = format!("driver={driver},file.filename={name},{prefix}key-secret=kept");
    format!(
        "qemu-img amend --object secret,id=kept,file=KEPT-PASSWORD-FILE \
         -o {prefix}state=inactive,{prefix}keyslot={slot} --image-opts {}",
        quoted(&source)
    )
}

#[cfg(test)]
mod tests;
