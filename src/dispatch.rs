//! Which tool was I called as? A link's name decides first, then the subcommand.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use cowproof::cli::{audit, check, img, io, iv, link};
use cowproof::conform::command as run;

#[derive(Parser)]
#[command(
    name = "cowproof",
    version,
    about = "Reference implementation and conformance suite for qcow, qcow2 and LUKS1 disk images",
    subcommand_required = true,
    arg_required_else_help = true
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The drop-in for qemu-img
    #[command(disable_help_flag = true)]
    Img(ToolArguments),
    /// The drop-in for qemu-io
    #[command(disable_help_flag = true)]
    Io(ToolArguments),
    /// Run the conformance suite on one or more implementations
    Run(Box<run::RunArguments>),
    /// Find reused initialization vectors, plaintext and weak choices in encrypted images
    Audit(audit::AuditArguments),
    /// Explain what is wrong with an image, and what a repair would do
    Check(check::CheckArguments),
    /// Find out which sectors made the IVs of an image that was written with known plaintext
    Iv(iv::IvArguments),
    /// Make links named qemu-img and qemu-io that point at this program
    Link(link::LinkArguments),
}

/// A drop-in tool has a grammar of its own: everything after its name is handed over untouched.
#[derive(clap::Args)]
struct ToolArguments {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Runs the tool that `arguments[0]` names (`qemu-img`, `qemu-io`, or `cowproof` with a subcommand).
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.collect();
    let program = arguments.first().map_or_else(String::new, base_name);
    let rest = || arguments.get(1..).unwrap_or_default().to_vec();
    match program.as_str() {
        "qemu-img" => return img::main(&invoked(&arguments), rest()),
        "qemu-io" => return io::main(&invoked(&arguments), rest()),
        _ => {}
    }
    // Ahead of clap, which would take `--` and `--version` for itself.
    match arguments.get(1).and_then(|word| word.to_str()) {
        Some("img") => return img::main("cowproof img", arguments[2..].to_vec()),
        Some("io") => return io::main("cowproof io", arguments[2..].to_vec()),
        _ => {}
    }
    match CommandLine::parse_from(arguments).command {
        Command::Img(tool) => img::main("cowproof img", tool.arguments),
        Command::Io(tool) => io::main("cowproof io", tool.arguments),
        Command::Run(run) => run::main(&run),
        Command::Audit(audit) => audit::main(&audit),
        Command::Check(check) => check::main(&check),
        Command::Iv(iv) => iv::main(&iv),
        Command::Link(link) => link::main(&link),
    }
}

/// `argv[0]` as it was given: qemu-img's option parser speaks under the whole of it.
fn invoked(arguments: &[OsString]) -> String {
    arguments
        .first()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn base_name(name: &OsString) -> String {
    Path::new(name)
        .file_name()
        .unwrap_or(name)
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests;
