//! `qemu-img bitmap`: its grammar and refusals. Images are not changed yet.

use super::arguments::Choice;
use super::failure::{Failure, Outcome};
use super::session::{ImageOptions, Session};
use crate::base::size::parse_argument;
use crate::graph::OpenFlags;
use crate::node::SharedNode;

const CHOICES: &[Choice] = &[
    Choice::flag('h', "help"),
    Choice::value('f', "format"),
    Choice::long_flag("image-opts"),
    Choice::long_flag("add"),
    Choice::value('g', "granularity"),
    Choice::long_flag("remove"),
    Choice::long_flag("clear"),
    Choice::long_flag("enable"),
    Choice::long_flag("disable"),
    Choice::long_value("merge"),
    Choice::value('b', "source-file"),
    Choice::value('F', "source-format"),
    Choice::long_value("object"),
];

/// What the command line says.
#[derive(Debug, Default)]
struct Options {
    image: ImageOptions,
    /// In the order given.
    actions: Vec<&'static str>,
    granularity: Option<u64>,
    source: Option<String>,
    source_format: Option<String>,
}

/// Runs `qemu-img bitmap`.
pub fn run(session: &mut Session, arguments: Vec<String>) -> Outcome {
    let mut options = Options::default();
    let mut given = session.arguments(CHOICES, arguments);
    while let Some(option) = session.next_option(&mut given)? {
        let Some(option) = options.image.take(option) else {
            continue;
        };
        match option.key {
            "granularity" => {
                options.granularity = Some(parse_argument("granularity", &option.value)?);
            }
            "source-file" => options.source = Some(option.value),
            "source-format" => options.source_format = Some(option.value),
            action => options.actions.push(action),
        }
    }
    let Some(first) = options.actions.first() else {
        return Err(Failure::words(
            "Need at least one of --add, --remove, --clear, --enable, --disable, or --merge",
        ));
    };
    let operands = given.into_operands();
    let [name, bitmap] = operands.as_slice() else {
        return Err(Failure::words("Expecting filename and bitmap name"));
    };
    options.refuse_contradictions()?;
    let environment = session.environment();
    let flags = OpenFlags {
        writable: true,
        ..OpenFlags::default()
    };
    let node = options.image.open(name, flags, &environment)?;
    let reason = refusal(&node, first, bitmap);
    node.close()?;
    Err(Failure::words(format!(
        "Operation {first} on bitmap {bitmap} failed: {}",
        reason?
    )))
}

impl Options {
    fn refuse_contradictions(&self) -> Result<(), Failure> {
        let asked = |action| self.actions.contains(&action);
        let contradictions = [
            (
                self.granularity.is_some() && !asked("add"),
                "granularity only supported with --add",
            ),
            (
                self.source_format.is_some() && self.source.is_none(),
                "-F only supported with -b",
            ),
            (
                self.source.is_some() && !asked("merge"),
                "Merge bitmap source file only supported with --merge",
            ),
        ];
        match contradictions.into_iter().find(|(wrong, _)| *wrong) {
            Some((_, words)) => Err(Failure::words(words)),
            None => self.image.refuse_contradiction(),
        }
    }
}

/// Why the operation is not done.
fn refusal(node: &SharedNode, action: &str, bitmap: &str) -> Result<String, Failure> {
    let info = node.info()?;
    let known = info
        .specific
        .as_ref()
        .and_then(|(_, data)| data.get("bitmaps")?.as_array())
        .is_some_and(|list| {
            list.iter()
                .any(|entry| entry.get("name").and_then(|name| name.as_str()) == Some(bitmap))
        });
    Ok(if action == "add" || known {
        "persistent bitmaps are not supported".to_owned()
    } else {
        format!("Dirty bitmap '{bitmap}' not found")
    })
}
