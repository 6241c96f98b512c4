//! Bitmaps against the real tools.
