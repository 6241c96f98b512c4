//! Persistent dirty bitmaps as their users see them.

/// A bitmap of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BitmapInfo {
    /// Its name.
    pub name: String,
    /// Bytes that one bit stands for.
    pub granularity: u64,
    /// Writes are recorded in it.
    pub enabled: bool,
    /// It was not stored when the image was last closed: its content means nothing.
    pub inconsistent: bool,
}

/// A change of one bitmap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitmapChange {
    /// Nothing is dirty any more.
    Clear,
    /// Writes are recorded from now on.
    Enable,
    /// Writes are not recorded any more.
    Disable,
}
