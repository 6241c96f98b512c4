//! `qemu-img bitmap`.

use super::arguments::Choice;
use super::failure::{Failure, Outcome};
use super::images::Operand;
use super::session::{ImageOptions, Session};
use crate::base::error::errno;
use crate::base::size::parse_argument;
use crate::base::{Error, Result};
use crate::graph::{Environment, OpenFlags};
use crate::node::{BitmapChange, SharedNode, no_bitmap};

const CHOICES: &[Choice] = &[
    Choice::flag('h', "help"),
    Choice::short_value('f', "format"),
    Choice::long_value("format").promised(),
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

/// One of the things to do, in the order given.
#[derive(Debug)]
enum Action {
    Add,
    Remove,
    Change(BitmapChange),
    /// With the bitmap of that name.
    Merge(String),
}

impl Action {
    const fn name(&self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Change(BitmapChange::Clear) => "clear",
            Self::Change(BitmapChange::Enable) => "enable",
            Self::Change(BitmapChange::Disable) => "disable",
            Self::Merge(_) => "merge",
        }
    }
}

/// What the command line says.
#[derive(Debug, Default)]
struct Options {
    image: ImageOptions,
    actions: Vec<Action>,
    /// 0 like none: the image's own choice.
    granularity: u64,
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
        let action = match option.key {
            "granularity" => {
                options.granularity = parse_argument("granularity", &option.value)?;
                continue;
            }
            "source-file" => {
                options.source = Some(option.value);
                continue;
            }
            "source-format" => {
                options.source_format = Some(option.value);
                continue;
            }
            "add" => Action::Add,
            "remove" => Action::Remove,
            "clear" => Action::Change(BitmapChange::Clear),
            "enable" => Action::Change(BitmapChange::Enable),
            "disable" => Action::Change(BitmapChange::Disable),
            _ => Action::Merge(option.value),
        };
        options.actions.push(action);
    }
    if options.actions.is_empty() {
        return Err(Failure::words(
            "Need at least one of --add, --remove, --clear, --enable, --disable, or --merge",
        ));
    }
    let operands = given.into_operands();
    let [name, bitmap] = operands.as_slice() else {
        return Err(Failure::words("Expecting filename and bitmap name"));
    };
    options.refuse_contradictions()?;
    let environment = session.environment();
    let flags = OpenFlags {
        writable: true,
        no_backing: true,
        ..OpenFlags::default()
    };
    let node = options.image.open(name, flags, &environment)?;
    let outcome = open_source_and_act(&options, &node, bitmap, &environment);
    let mut code = 0;
    if let Err(failure) = outcome {
        code = session.say_outcome(Err(failure));
    }
    if let Err(error) = node.close() {
        session.say(&format!("Error while closing the image: {error}"));
        // The real tool tries to store bitmaps a second time when it ends; the first failure is the one that counts.
        let _ = node.close();
        code = 1;
    }
    Ok(code)
}

fn open_source_and_act(
    options: &Options,
    node: &SharedNode,
    bitmap: &str,
    environment: &Environment,
) -> Result<(), Failure> {
    let Some(name) = &options.source else {
        return options.act(node, node, bitmap);
    };
    let operand = Operand {
        name,
        format: options.source_format.as_deref(),
        image_opts: false,
    };
    let flags = OpenFlags {
        no_backing: true,
        ..OpenFlags::default()
    };
    let source = operand.open(flags, environment)?;
    let outcome = options.act(node, &source, bitmap);
    let closed = source.close();
    outcome?;
    Ok(closed?)
}

impl Options {
    /// Does one thing after the other; the first that fails ends it.
    fn act(&self, node: &SharedNode, source: &SharedNode, bitmap: &str) -> Result<(), Failure> {
        for action in &self.actions {
            let done = match action {
                Action::Add => self.add(node, bitmap),
                Action::Remove => node.bitmap_remove(bitmap),
                Action::Change(change) => node.bitmap_change(bitmap, *change),
                Action::Merge(from) => merge(node, bitmap, source, from),
            };
            done.map_err(|error| {
                let verb = action.name();
                error.prefixed(format!("Operation {verb} on bitmap {bitmap} failed: "))
            })?;
        }
        Ok(())
    }

    fn add(&self, node: &SharedNode, bitmap: &str) -> Result<()> {
        if bitmap.is_empty() {
            return Err(Error::caller("Bitmap name cannot be empty"));
        }
        let granularity = (self.granularity != 0).then_some(self.granularity);
        node.bitmap_add(bitmap, granularity, true).map_err(|error| {
            // The node's name is another one each time there, too.
            if error.is_bare() && error.errno() == errno::ENOTSUP {
                error.prefixed("Can't store persistent bitmaps to #block100: ")
            } else {
                error
            }
        })
    }

    fn refuse_contradictions(&self) -> Result<(), Failure> {
        let asked = |name| self.actions.iter().any(|action| action.name() == name);
        let contradictions = [
            (
                self.granularity != 0 && !asked("add"),
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

/// Merges a bitmap of `source` into one of `node`.
fn merge(node: &SharedNode, bitmap: &str, source: &SharedNode, from: &str) -> Result<()> {
    // The destination is looked for first.
    let known = node.bitmaps();
    match known.iter().find(|known| known.name == bitmap) {
        None => return Err(no_bitmap(bitmap)),
        // Its own words are said by the image itself.
        Some(known) if known.inconsistent => node.bitmap_change(bitmap, BitmapChange::Clear)?,
        Some(_) => {}
    }
    node.bitmap_merge(bitmap, &source.bitmap_bits(from)?)
}
