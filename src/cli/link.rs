//! `cowproof link DIR`: links by which this program is `qemu-img` and `qemu-io`.

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The names under which the one binary is a drop-in tool.
pub const TOOL_NAMES: [&str; 2] = ["qemu-img", "qemu-io"];

/// What `cowproof link` takes.
#[derive(clap::Args)]
pub struct LinkArguments {
    /// Where to make the links; the directory is made when it is missing
    directory: PathBuf,
    /// Replace links that are there already
    #[arg(short, long)]
    force: bool,
}

/// `cowproof link DIR`.
pub fn main(arguments: &LinkArguments) -> ExitCode {
    let made = std::env::current_exe()
        .and_then(|program| make_links(&arguments.directory, &program, arguments.force));
    match made {
        Ok(()) => {
            for name in TOOL_NAMES {
                println!("{}", arguments.directory.join(name).display());
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("cowproof link: {}: {error}", arguments.directory.display());
            ExitCode::FAILURE
        }
    }
}

/// Makes one link a tool in `directory`. Only links are ever replaced, never a file.
pub fn make_links(directory: &Path, program: &Path, force: bool) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    for name in TOOL_NAMES {
        let link = directory.join(name);
        match std::fs::read_link(&link) {
            Ok(target) if target == program => continue,
            Ok(_) if force => std::fs::remove_file(&link)?,
            _ => {}
        }
        symlink(program, &link)
            .map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
