//! The images that `info` describes: one, or one after the other down the backing chain.

use std::collections::HashSet;

use super::super::failure::Failure;
use super::super::session::ImageOptions;
use crate::graph::{Environment, OpenFlags};
use crate::job::info::{Facts, gather};

/// What to describe.
#[derive(Debug)]
pub(super) struct Chain<'a> {
    pub(super) options: ImageOptions,
    pub(super) environment: &'a Environment,
    /// `--backing-chain`.
    pub(super) whole: bool,
}

impl Chain<'_> {
    /// The facts of each layer, the top first. Every layer is opened alone, by its full name.
    pub(super) fn gather(mut self, name: String) -> Result<Vec<Facts>, Failure> {
        let flags = OpenFlags {
            no_io: true,
            no_backing: true,
            ..OpenFlags::default()
        };
        let mut seen = HashSet::new();
        let mut layers = Vec::new();
        let mut next = Some(name);
        while let Some(name) = next.take() {
            if !seen.insert(name.clone()) {
                return Err(Failure::words(format!(
                    "Backing file '{name}' creates an infinite loop."
                )));
            }
            let node = self.options.open(&name, flags, self.environment)?;
            let facts = gather(&node);
            node.close()?;
            let facts = facts?;
            if self.whole
                && let Some(backing) = &facts.backing
            {
                next = Some(backing.full_name.clone());
                self.options.format.clone_from(&backing.format);
                self.options.image_opts = false;
            }
            layers.push(facts);
        }
        Ok(layers)
    }
}
