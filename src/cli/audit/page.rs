//! The parts of the page.

/// Head, styles and the empty body.
pub(super) const HEAD: &str = include_str!("page/head.html");
/// Draws the picture from the data.
pub(super) const SCRIPT: &str = include_str!("page/draw.js");
/// The end.
pub(super) const TAIL: &str = "</body>\n</html>\n";
