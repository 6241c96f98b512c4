//! An error at each event of blkdebug while an image is changed: the real tool and ours say the same, and what is
//! left of our image is sound: both checks find leaks at worst, and it can be written to again.

use std::path::Path;
use std::process::{Command, Stdio};

use cowproof::node::DebugEvent;

use super::{Pair, REAL};

/// An operation: its name, what the image holds before, and what is done.
struct Operation {
    name: &'static str,
    before: &'static [&'static str],
    commands: &'static [&'static str],
    /// Events at which the two say something else, each for the reason at [`OPERATIONS`].
    differs: &'static [&'static str],
}

/// Ours writes tables back earlier or later where nobody is to rely on it, so that another request meets the error:
/// a discard's tables wait for each other, freed clusters are counted with the next write.
const OPERATIONS: [Operation; 5] = [
    Operation {
        name: "new clusters",
        before: &["write -q -P 1 0 256k"],
        commands: &["write -P 2 8M 64k", "read -P 2 8M 64k"],
        differs: &[],
    },
    Operation {
        name: "overwriting",
        before: &["write -q -P 1 0 256k"],
        commands: &["write -P 2 1000 9000", "read -P 2 1000 9000"],
        differs: &[],
    },
    Operation {
        name: "zeros",
        before: &["write -q -P 1 0 256k"],
        commands: &["write -z 8k 64k", "write -zu 128k 8k"],
        differs: &[],
    },
    Operation {
        name: "discards",
        before: &["write -q -P 1 0 256k"],
        commands: &["discard 8k 64k", "discard 0 4k"],
        differs: &[
            "l2_update",
            "pwritev",
            "pwritev_done",
            "refblock_update_part",
        ],
    },
    Operation {
        name: "compressed clusters",
        before: &["write -q -c -P 1 0 4k", "write -q -c -P 1 4k 4k"],
        commands: &["write -P 3 4k 4k", "write -P 3 9000 100"],
        differs: &["refblock_update_part", "cluster_free", "pwritev_done"],
    },
];

fn run(program: &str, arguments: &[&str], directory: &Path) -> (Option<i32>, String) {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .expect("the test's own set-up");
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}

fn io(
    program: &str,
    leading: &[&str],
    image: &str,
    commands: &[&str],
    at: &Path,
) -> (Option<i32>, String) {
    let mut arguments = leading.to_vec();
    for command in commands {
        arguments.extend(["-c", command]);
    }
    arguments.extend(["--image-opts", image]);
    run(program, &arguments, at)
}

/// What is wrong with the image that is left.
fn unsound(ours: &str, at: &Path) -> Option<String> {
    let checks = [
        run("qemu-img", &["check", "-f", "qcow2", "t"], at),
        run(ours, &["img", "check", "-f", "qcow2", "t"], at),
    ];
    let sound = checks.iter().all(|(code, _)| matches!(code, Some(0 | 3)));
    let again = ["write -q -P 9 0 64k", "read -q -P 9 0 64k"];
    let usable = io(REAL, &[], "driver=qcow2,file.filename=t", &again, at);
    let well = sound && checks[0].0 == checks[1].0 && usable.0 == Some(0);
    (!well).then(|| format!("{checks:?} {usable:?}"))
}

#[test]
fn an_error_at_every_event() {
    let Some(pair) = Pair::new() else { return };
    let ours = env!("CARGO_BIN_EXE_cowproof");
    let at = pair.directory.path();
    let (mut cases, mut agreeing) = (0, 0);
    let mut wrong = Vec::new();
    for operation in &OPERATIONS {
        let made = run(
            "qemu-img",
            &[
                "create",
                "-q",
                "-f",
                "qcow2",
                "-o",
                "cluster_size=4k",
                "before",
                "16M",
            ],
            at,
        );
        assert_eq!(made.0, Some(0), "{}", made.1);
        let before = "driver=qcow2,file.filename=before";
        io(REAL, &[], before, operation.before, at);
        for event in DebugEvent::ALL {
            let name = event.name();
            let image = format!(
                "driver=qcow2,file.driver=blkdebug,file.image.filename=t,file.inject-error.0.event={name},file.inject-error.0.once=on"
            );
            let copy =
                || std::fs::copy(at.join("before"), at.join("t")).expect("the test's own set-up");
            copy();
            let real = io(REAL, &[], &image, operation.commands, at);
            copy();
            let own = io(ours, &["io"], &image, operation.commands, at);
            let say = |text: &str| {
                pair.masked(text.as_bytes())
                    .replace("cowproof io: ", "qemu-io: ")
            };
            cases += 1;
            let same = real.0 == own.0 && say(&real.1) == say(&own.1);
            agreeing += usize::from(same);
            if same == operation.differs.contains(&name) {
                wrong.push(format!(
                    "{}, {name}: {}\nreal {:?} {}\nours {:?} {}",
                    operation.name,
                    if same {
                        "agrees, against the list"
                    } else {
                        "differs"
                    },
                    real.0,
                    real.1,
                    own.0,
                    own.1
                ));
            }
            wrong.extend(
                unsound(ours, at)
                    .map(|why| format!("{}, {name}: left unsound: {why}", operation.name)),
            );
        }
    }
    eprintln!("{agreeing} of {cases} cases of an operation and an event agree");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
