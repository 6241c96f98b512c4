//! `qemu-img map`.

use super::arguments::Choice;
use super::failure::{Failure, Outcome};
use super::session::{ImageOptions, OutputFormat, Session, one_image};
use crate::base::size::parse_argument;
use crate::cli::output;
use crate::graph::OpenFlags;
use crate::job::map::{self, Run};
use crate::node::SharedNode;

const CHOICES: &[Choice] = &[
    Choice::flag('h', "help"),
    Choice::value('f', "format"),
    Choice::long_flag("image-opts"),
    Choice::value('s', "start-offset"),
    Choice::value('l', "max-length"),
    Choice::long_value("output"),
    Choice::flag('U', "force-share"),
    Choice::long_value("object"),
];

/// Runs `qemu-img map`.
pub fn run(session: &mut Session, arguments: Vec<String>) -> Outcome {
    let mut image = ImageOptions::default();
    let mut output = OutputFormat::Human;
    let mut start = 0;
    let mut longest = None;
    let mut given = session.arguments(CHOICES, arguments);
    while let Some(option) = session.next_option(&mut given)? {
        let Some(option) = image.take(option) else {
            continue;
        };
        match option.key {
            "start-offset" => start = parse_argument("start offset", &option.value)?,
            "max-length" => longest = Some(parse_argument("max length", &option.value)?),
            _ => output = OutputFormat::parse(&option.value)?,
        }
    }
    let name = one_image(given)?;
    image.refuse_contradiction()?;
    let environment = session.environment();
    let node = image.open(&name, OpenFlags::default(), &environment)?;
    let outcome = print(&node, start, longest, output);
    session.close_after(&node, outcome)?;
    Ok(0)
}

fn print(
    node: &SharedNode,
    start: u64,
    longest: Option<u64>,
    format: OutputFormat,
) -> Result<(), Failure> {
    let mut end = node.length()?;
    if let Some(longest) = longest {
        end = end.min(start.saturating_add(longest));
    }
    output::print(match format {
        OutputFormat::Human => HEADINGS,
        OutputFormat::Json => "[",
    });
    map::run::<Failure>(node, start, end, &mut |run, last| {
        output::print(&match format {
            OutputFormat::Human => human(run)?,
            OutputFormat::Json => json(run, last),
        });
        Ok(())
    })
}

const HEADINGS: &str = "Offset          Length          Mapped to       File\n";

fn human(run: &Run) -> Result<String, Failure> {
    if !run.data || run.zero {
        return Ok(String::new());
    }
    let Some(place) = &run.place else {
        return Err(Failure::words(
            "File contains external, encrypted or compressed clusters.",
        ));
    };
    let [start, length, offset] = [run.start, run.length, place.offset].map(hexadecimal);
    let filename = &place.filename;
    Ok(format!("{start:<16}{length:<16}{offset:<16}{filename}\n"))
}

/// C's `%#x`: zero goes without `0x`.
fn hexadecimal(number: u64) -> String {
    if number == 0 {
        "0".to_owned()
    } else {
        format!("{number:#x}")
    }
}

fn json(run: &Run, last: bool) -> String {
    let offset = match &run.place {
        Some(place) => format!(", \"offset\": {}", place.offset),
        None => String::new(),
    };
    format!(
        "{{ \"start\": {}, \"length\": {}, \"depth\": {}, \"present\": {}, \"zero\": {}, \"data\": {}, \
         \"compressed\": {}{offset}}}{}\n",
        run.start,
        run.length,
        run.depth,
        run.present,
        run.zero,
        run.data,
        run.compressed,
        if last { "]" } else { "," },
    )
}

#[cfg(test)]
mod tests;
