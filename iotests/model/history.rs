//! Playing a history on both, and telling it so that anybody can play it again.

use std::fmt::Write as _;

use proptest_state_machine::ReferenceStateMachine;

use crate::configuration::{Base, Configuration, DataFile};
use crate::flat::{Flat, base_stretches};
use crate::machine::{Machine, SECRETS};
use crate::operation::Operation;

/// When the metadata is looked at: looking writes what is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looks {
    /// After every step.
    Always,
    /// Where the history itself writes everything.
    AtFlush,
}

/// Plays a history; the error says after which step what was wrong.
pub fn play(
    start: Flat,
    operations: &[Operation],
    looks: Looks,
    mut passed: impl FnMut(),
) -> Result<(), String> {
    let mut model = start;
    let mut machine = Machine::new(&model.configuration).map_err(|e| format!("create: {e}"))?;
    for (number, operation) in operations.iter().enumerate() {
        passed();
        let at = |why: String| format!("step {} ({operation}): {why}", number + 1);
        machine.step(*operation).map_err(|e| at(e.to_string()))?;
        model = Flat::apply(model, operation);
        machine.reads_as(&model.active).map_err(at)?;
        let whole = matches!(operation, Operation::Flush | Operation::Reopen);
        if whole || looks == Looks::Always {
            machine.is_clean().map_err(at)?;
        }
        if whole {
            machine.layers_read_as(&model).map_err(at)?;
        }
    }
    let at_end = |why: String| format!("at the end: {why}");
    machine
        .step(Operation::Reopen)
        .map_err(|e| at_end(e.to_string()))?;
    machine.reads_as(&model.active).map_err(at_end)?;
    machine.is_clean().map_err(at_end)?;
    machine.layers_read_as(&model).map_err(at_end)?;
    machine.close().map_err(|e| at_end(e.to_string()))
}

/// A history as a file keeps it: the image in one line, then a step a line.
pub fn text(configuration: &Configuration, operations: &[Operation]) -> String {
    let mut text = format!("{configuration}\n");
    for operation in operations {
        writeln!(text, "{operation}").expect("a string takes everything");
    }
    text
}

/// Reads what [`text`] wrote; lines that start with `#` are comments.
pub fn parse(text: &str) -> Result<(Configuration, Vec<Operation>), String> {
    let mut lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let configuration = lines.next().ok_or("no configuration")?.parse()?;
    let operations = lines.map(str::parse).collect::<Result<_, _>>()?;
    Ok((configuration, operations))
}

/// The arguments that hand over the secrets.
pub fn secret_arguments() -> Vec<String> {
    SECRETS
        .iter()
        .flat_map(|(id, data)| ["--object".to_owned(), format!("secret,id={id},data={data}")])
        .collect()
}

/// One call of a tool: `qemu-img` or `qemu-io` with its arguments.
pub struct Call {
    pub tool: &'static str,
    pub arguments: Vec<String>,
}

impl Call {
    fn img(arguments: &[&str]) -> Self {
        let mut all = vec![arguments[0].to_owned()];
        all.extend(secret_arguments());
        all.extend(arguments[1..].iter().map(|&word| word.to_owned()));
        Self {
            tool: "qemu-img",
            arguments: all,
        }
    }

    fn io(open: &str, commands: &[String]) -> Self {
        let mut all = secret_arguments();
        for command in commands {
            all.extend(["-c".to_owned(), command.clone()]);
        }
        all.extend(["-d", "unmap", "--image-opts", open].map(str::to_owned));
        Self {
            tool: "qemu-io",
            arguments: all,
        }
    }
}

/// The calls that make the files and the image.
pub fn creating(configuration: &Configuration) -> Vec<Call> {
    let mut calls = Vec::new();
    for base in Base::ALL {
        let length = configuration.base_length(base).to_string();
        let encrypted = base == Base::B && configuration.encrypted_base;
        let mut create = vec!["create", "-q", "-f", base.format()];
        if encrypted {
            create.extend(["-o", "encrypt.format=aes,encrypt.key-secret=base"]);
        }
        create.extend([base.file(), &length]);
        calls.push(Call::img(&create));
        let key = if encrypted {
            ",encrypt.key-secret=base"
        } else {
            ""
        };
        let open = format!(
            "driver={},file.filename={}{key}",
            base.format(),
            base.file()
        );
        let writes: Vec<String> = base_stretches(configuration.base_length(base))
            .map(|span| format!("write -s pattern {span}"))
            .collect();
        calls.push(Call::io(&open, &writes));
    }
    let mut create = vec!["create", "-q", "-f", configuration.driver()];
    let options = configuration.create_options();
    if !options.is_empty() {
        create.extend(["-o", &options]);
    }
    let name = configuration
        .lies_on
        .map(|base| (configuration.base_name(base), base));
    if let Some((name, base)) = &name {
        create.extend(["-b", name, "-F", base.format()]);
    }
    let size = configuration.size.to_string();
    create.extend(["t.img", &size]);
    calls.push(Call::img(&create));
    calls
}

/// The calls of the steps: one `qemu-io` for each session.
pub fn playing(configuration: &Configuration, operations: &[Operation]) -> Vec<Call> {
    let open = configuration.open_options();
    let mut calls = Vec::new();
    for session in operations.chunk_by(|a, b| a.is_io() && b.is_io()) {
        let [operation, ..] = session else { continue };
        match operation {
            Operation::Reopen => {}
            Operation::SnapshotCreate(number) => calls.push(snapshot(&open, "-c", *number)),
            Operation::SnapshotApply(number) => calls.push(snapshot(&open, "-a", *number)),
            Operation::SnapshotDelete(number) => calls.push(snapshot(&open, "-d", *number)),
            Operation::Commit => calls.push(Call::img(&["commit", "-q", "--image-opts", &open])),
            Operation::Rebase(None) => {
                calls.push(Call::img(&["rebase", "--image-opts", "-b", "", &open]));
            }
            Operation::Rebase(Some(base)) => {
                let name = configuration.rebase_name(*base);
                let words = [
                    "rebase",
                    "--image-opts",
                    "-b",
                    &name,
                    "-F",
                    base.format(),
                    &open,
                ];
                calls.push(Call::img(&words));
            }
            _ => {
                let commands: Vec<String> = session.iter().map(ToString::to_string).collect();
                calls.push(Call::io(&open, &commands));
            }
        }
    }
    calls
}

fn snapshot(open: &str, flag: &str, number: u32) -> Call {
    Call::img(&[
        "snapshot",
        flag,
        &format!("s{number}"),
        "--image-opts",
        open,
    ])
}

/// The history as a shell script for either pair of tools.
pub fn script(configuration: &Configuration, operations: &[Operation]) -> String {
    let mut script = String::from("seq 1 60000 > pattern\n");
    if configuration.data_file != DataFile::None {
        script += "rm -f data\n";
    }
    let calls = creating(configuration)
        .into_iter()
        .chain(playing(configuration, operations));
    for call in calls {
        script += call.tool;
        for argument in call.arguments {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_=.,:/".contains(c);
            if !argument.is_empty() && argument.chars().all(plain) {
                write!(script, " {argument}").expect("a string takes everything");
            } else {
                write!(script, " '{argument}'").expect("a string takes everything");
            }
        }
        script.push('\n');
    }
    script
}
