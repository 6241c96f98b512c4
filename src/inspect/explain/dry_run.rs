//! A repair of a copy in memory.

use std::sync::Arc;

use crate::base::Result;
use crate::driver::qcow2::{Qcow2, Qcow2OpenOptions};
use crate::driver::scratch::Scratch;
use crate::node::{CheckReport, HostFile, Node, Repair};

/// What a repair may write.
const WRITTEN_MAX: usize = 512 << 20;
/// Lines that are kept.
const LINES_MAX: usize = 1000;

/// What a repair would do.
#[derive(Clone, Debug)]
pub struct DryRun {
    /// What it would say.
    pub lines: Vec<String>,
    /// What it would repair.
    pub fixed: CheckReport,
    /// What would be wrong after it; `None` when it would fail.
    pub left: Option<CheckReport>,
    /// Why it would fail.
    pub failure: Option<String>,
}

/// Repairs the image as `check -r` does, but in memory. `file` is only read.
pub fn dry_run(file: &HostFile, repair: Repair) -> Result<DryRun> {
    let scratch = HostFile::new(Arc::new(Scratch::new(file.clone(), WRITTEN_MAX)?));
    let mut outcome = DryRun {
        lines: Vec::new(),
        fixed: CheckReport::default(),
        left: None,
        failure: None,
    };
    if let Err(error) = run(&scratch, repair, &mut outcome) {
        outcome.failure = Some(error.to_string());
    }
    Ok(outcome)
}

fn run(scratch: &HostFile, repair: Repair, outcome: &mut DryRun) -> Result<()> {
    let options = Qcow2OpenOptions {
        writable: true,
        check: true,
        no_io: true,
        ..Qcow2OpenOptions::default()
    };
    let image = Qcow2::open(scratch.clone(), &options)?;
    let lines = &mut outcome.lines;
    let mut keep = |line: &str| {
        if lines.len() < LINES_MAX {
            lines.push(line.to_owned());
        }
    };
    outcome.fixed = image.check(repair, &mut keep)?;
    outcome.left = Some(image.check(Repair::Nothing, &mut |_| {})?);
    Ok(())
}
