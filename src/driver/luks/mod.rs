//! Standalone LUKS1 volumes, and the volume header that qcow2 embeds.
