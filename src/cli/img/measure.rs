//! `qemu-img measure`.

mod target;

use serde_json::{Map, Value};

use self::target::Target;
use super::arguments::Choice;
use super::convert::snapshot;
use super::failure::{Failure, Outcome};
use super::format_options::FormatOptions;
use super::session::{ImageOptions, OutputFormat, Session};
use crate::base::size::parse_argument;
use crate::cli::json;
use crate::graph::options::parse_options;
use crate::graph::{Environment, OpenFlags};
use crate::job::measure::Sizes;
use crate::node::SharedNode;

const CHOICES: &[Choice] = &[
    Choice::flag('h', "help"),
    Choice::value('O', "target-format"),
    Choice::value('f', "format"),
    Choice::long_flag("image-opts"),
    Choice::value('o', "options"),
    Choice::value('l', "snapshot"),
    Choice::value('s', "size"),
    Choice::flag('U', "force-share"),
    Choice::long_value("object"),
    Choice::long_value("output"),
];

/// What the command line says.
#[derive(Debug, Default)]
struct Options {
    image: ImageOptions,
    target_format: Option<String>,
    creation: FormatOptions,
    snapshot: Option<String>,
    size: Option<u64>,
    output: OutputFormat,
    source: Option<String>,
}

/// Runs `qemu-img measure`.
pub fn run(session: &mut Session, arguments: Vec<String>) -> Outcome {
    let options = parse(session, arguments)?;
    let environment = session.environment();
    let source = options
        .source
        .as_deref()
        .map(|name| open(&options, name, &environment))
        .transpose()?;
    let outcome = measure(session, &options, source.as_ref(), &environment);
    let closed = source.map_or(Ok(()), |node| node.close());
    let sizes = outcome?;
    closed?;
    session.print(&match options.output {
        OutputFormat::Human => text(&sizes),
        OutputFormat::Json => format!("{}\n", json::pretty(&facts(&sizes))),
    });
    Ok(0)
}

fn parse(session: &mut Session, arguments: Vec<String>) -> Result<Options, Failure> {
    let mut options = Options::default();
    let mut given = session.arguments(CHOICES, arguments);
    while let Some(option) = session.next_option(&mut given)? {
        let Some(option) = options.image.take(option) else {
            continue;
        };
        match option.key {
            "target-format" => options.target_format = Some(option.value),
            "options" => options.creation.add(&option.value)?,
            "snapshot" => {
                snapshot::check(session, &option.value)?;
                options.snapshot = Some(option.value);
            }
            "output" => options.output = OutputFormat::parse(&option.value)?,
            "size" => options.size = Some(parse_argument("image size", &option.value)?),
            _ => {}
        }
    }
    let mut operands = given.into_operands().into_iter();
    options.source = operands.next();
    let about_source =
        options.image.image_opts || options.image.format.is_some() || options.snapshot.is_some();
    let refusals = [
        (
            operands.next().is_some(),
            "At most one filename argument is allowed.",
        ),
        (
            options.source.is_none() && about_source,
            "--image-opts, -f, and -l require a filename argument.",
        ),
        (
            options.source.is_none() && options.size.is_none(),
            "Either --size N or one filename must be specified.",
        ),
        (
            options.source.is_some() && options.size.is_some(),
            "--size N cannot be used together with a filename.",
        ),
    ];
    if let Some((_, words)) = refusals.into_iter().find(|(refused, _)| *refused) {
        return Err(Failure::words(words));
    }
    options.image.refuse_contradiction()?;
    Ok(options)
}

fn open(options: &Options, name: &str, environment: &Environment) -> Result<SharedNode, Failure> {
    let node = options
        .image
        .open(name, OpenFlags::default(), environment)?;
    if let Some(text) = &options.snapshot {
        snapshot::load_one(&node, text)?;
    }
    Ok(node)
}

fn measure(
    session: &Session,
    options: &Options,
    source: Option<&SharedNode>,
    environment: &Environment,
) -> Result<Sizes, Failure> {
    let format = options.target_format.as_deref().unwrap_or("raw");
    let tree = parse_options(options.creation.text(), None).tree;
    let target = Target::parse(session, format, tree, environment)?;
    let size = match (options.size, source) {
        (Some(size), _) => size,
        (None, Some(node)) => node.length()?,
        (None, None) => 0,
    };
    Ok(target.measure(size, source)?)
}

fn text(sizes: &Sizes) -> String {
    let bitmaps = sizes
        .bitmaps
        .map(|bytes| format!("bitmaps size: {bytes}\n"))
        .unwrap_or_default();
    format!(
        "required size: {}\nfully allocated size: {}\n{bitmaps}",
        sizes.required, sizes.fully_allocated
    )
}

fn facts(sizes: &Sizes) -> Value {
    let mut facts = Map::new();
    if let Some(bitmaps) = sizes.bitmaps {
        facts.insert("bitmaps".to_owned(), bitmaps.into());
    }
    facts.insert("required".to_owned(), sizes.required.into());
    facts.insert("fully-allocated".to_owned(), sizes.fully_allocated.into());
    Value::Object(facts)
}
