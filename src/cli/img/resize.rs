//! `qemu-img resize`.

use super::arguments::Choice;
use super::failure::{Failure, Outcome};
use super::session::{ImageOptions, Session};
use crate::base::Error;
use crate::base::size::{check_node_length, parse_option};
use crate::graph::{OpenFlags, OptionTree};
use crate::node::{Preallocation, SharedNode};

const CHOICES: &[Choice] = &[
    Choice::flag('h', "help"),
    Choice::flag('q', "quiet"),
    Choice::value('f', "format"),
    Choice::long_flag("image-opts"),
    Choice::long_flag("shrink"),
    Choice::long_value("preallocation"),
    Choice::long_value("object"),
];

/// The size on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Exactly(u64),
    More(u64),
    Less(u64),
}

impl Wanted {
    fn parse(text: &str) -> Result<Self, Error> {
        let parse = |text| parse_option("size", text);
        Ok(match text.split_at_checked(1) {
            Some(("+", by)) => Self::More(parse(by)?),
            Some(("-", by)) => Self::Less(parse(by)?),
            _ => Self::Exactly(parse(text)?),
        })
    }

    /// The new size of an image; `None` when that is no size.
    fn applied_to(self, size: u64) -> Option<u64> {
        let new = match self {
            Self::Exactly(new) => Some(new),
            Self::More(by) => size.checked_add(by),
            Self::Less(by) => size.checked_sub(by),
        };
        new.filter(|new| (1..=i64::MAX.cast_unsigned()).contains(new))
    }
}

/// Runs `qemu-img resize`.
pub fn run(session: &mut Session, arguments: Vec<String>) -> Outcome {
    let mut image = ImageOptions::default();
    let mut shrink = false;
    let mut preallocation = Preallocation::Off;
    let mut given = session
        .arguments(CHOICES, arguments)
        .with_negative_numbers();
    while let Some(option) = session.next_option(&mut given)? {
        let Some(option) = image.take(option) else {
            continue;
        };
        match option.key {
            "shrink" => shrink = true,
            _ => preallocation = parse_preallocation(&option.value)?,
        }
    }
    let in_front = given.operands_before_separator();
    let operands = given.into_operands();
    let [name, size] = operands.as_slice() else {
        return Err(Failure::Usage(
            if in_front <= 2 {
                "Expecting image file name and size"
            } else {
                "Extra argument(s) in command line"
            }
            .to_owned(),
        ));
    };
    let wanted = Wanted::parse(size)?;
    let environment = session.environment();
    let flags = OpenFlags {
        writable: true,
        ..OpenFlags::default()
    };
    let node = image.open(name, flags, &environment)?;
    let outcome = resize(session, &node, wanted, shrink, preallocation);
    session.close_after(&node, outcome)?;
    session.print_unless_quiet("Image resized.\n");
    Ok(0)
}

fn parse_preallocation(name: &str) -> Result<Preallocation, Failure> {
    let mut tree = OptionTree::default();
    tree.set("preallocation", name);
    match tree.take_choice("preallocation", &["off", "metadata", "falloc", "full"]) {
        Ok(Some(1)) => Ok(Preallocation::Metadata),
        Ok(Some(2)) => Ok(Preallocation::Falloc),
        Ok(Some(3)) => Ok(Preallocation::Full),
        Ok(_) => Ok(Preallocation::Off),
        Err(_) => Err(Failure::words(format!(
            "Invalid preallocation mode '{name}'"
        ))),
    }
}

fn resize(
    session: &Session,
    node: &SharedNode,
    wanted: Wanted,
    shrink: bool,
    preallocation: Preallocation,
) -> Result<(), Failure> {
    let current = node.length()?;
    let new = wanted
        .applied_to(current)
        .ok_or_else(|| Failure::words("New image size must be positive"))?;
    if new <= current && preallocation != Preallocation::Off {
        return Err(Failure::words(
            "Preallocation can only be used for growing images",
        ));
    }
    if new < current && !shrink {
        session.say("Use the --shrink option to perform a shrink operation.");
        session.warn(
            "Shrinking an image will delete all data beyond the shrunken image's end. \
             Before performing such an operation, make sure there is no important data there.",
        );
        return Err(Failure::Said(1));
    }
    check_node_length(new)?;
    Ok(node.resize(new, preallocation)?)
}

#[cfg(test)]
mod tests;
