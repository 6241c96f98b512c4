//! `qemu-img dd`.

use super::arguments::Choice;
use super::failure::{Failure, Outcome};
use super::images::{self, Operand};
use super::session::{ImageOptions, Session};
use crate::base::Error;
use crate::base::size::{parse_argument_within, parse_count_within};
use crate::graph::create::tables::create_options;
use crate::graph::create::{never_created, unknown_format};
use crate::graph::{
    CacheMode, CreateRequest, Environment, ImageArgument, OpenFlags, OptionTree, create, open,
};
use crate::job::convert::{self, Conversion, Settings, Step, Unwritten, Zeroes};
use crate::job::progress::Silent;
use crate::job::sources::Sources;
use crate::node::SharedNode;

const CHOICES: &[Choice] = &[
    Choice::flag('h', "help"),
    Choice::long_value("object"),
    Choice::value('f', "format"),
    Choice::long_flag("image-opts"),
    Choice::value('O', "output-format"),
    Choice::flag('U', "force-share"),
];

/// Block size when none is given.
const BLOCK_DEFAULT: u64 = 512;

struct Options {
    image: ImageOptions,
    output_format: String,
    block: u64,
    count: Option<u64>,
    skip: u64,
    input: Option<String>,
    output: Option<String>,
}

/// Runs `qemu-img dd`.
pub fn run(session: &mut Session, arguments: Vec<String>) -> Outcome {
    let mut options = Options {
        image: ImageOptions::default(),
        output_format: "raw".to_owned(),
        block: BLOCK_DEFAULT,
        count: None,
        skip: 0,
        input: None,
        output: None,
    };
    let mut given = session.arguments(CHOICES, arguments);
    while let Some(option) = session.next_option(&mut given)? {
        let Some(option) = options.image.take(option) else {
            continue;
        };
        if option.key == "output-format" {
            options.output_format = option.value;
        }
    }
    for operand in given.into_operands() {
        options.operand(&operand)?;
    }
    let (Some(input), Some(output)) = (options.input.clone(), options.output.clone()) else {
        return Err(Failure::words("Must specify both input and output files"));
    };
    options.image.refuse_contradiction()?;
    let environment = session.environment();
    let operand = Operand {
        name: &input,
        format: options.image.format.as_deref(),
        image_opts: options.image.image_opts,
    };
    let flags = OpenFlags {
        force_share: options.image.force_share,
        ..OpenFlags::default()
    };
    let source = operand.open(flags, &environment)?;
    let result = copy(session, &options, &source, &input, &output, &environment);
    let closed = source.close();
    result?;
    closed?;
    Ok(0)
}

impl Options {
    /// `bs=…`, `count=…`, `skip=…`, `if=…`, `of=…`.
    fn operand(&mut self, operand: &str) -> Result<(), Failure> {
        let (name, value) = match operand.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (operand, None),
        };
        match (name, value) {
            ("bs", Some(value)) => {
                self.block = parse_argument_within("bs", value, 1, i32::MAX.unsigned_abs().into())?;
            }
            ("count", Some(value)) => self.count = Some(parse_count("count", value)?),
            ("skip", Some(value)) => self.skip = parse_count("skip", value)?,
            ("if", Some(value)) => self.input = Some(value.to_owned()),
            ("of", Some(value)) => self.output = Some(value.to_owned()),
            _ => return Err(Failure::words(format!("unrecognized operand {name}"))),
        }
        Ok(())
    }
}

/// A number of blocks: plain, without a suffix.
fn parse_count(what: &str, text: &str) -> Result<u64, Error> {
    parse_count_within(what, text, 0, i64::MAX.cast_unsigned())
}

fn copy(
    session: &Session,
    options: &Options,
    source: &SharedNode,
    input: &str,
    output: &str,
    environment: &Environment,
) -> Result<(), Failure> {
    let format = &options.output_format;
    if create_options(format).is_none() {
        return Err(if never_created(format) {
            unknown_format(format).into()
        } else {
            Failure::words("Unknown file format")
        });
    }
    // The count is one of blocks from the start of the input: what is skipped counts.
    let length = source.length()?;
    let end = options
        .count
        .and_then(|count| count.checked_mul(options.block))
        .map_or(length, |end| end.min(length));
    let skipped = options.skip.checked_mul(options.block);
    let past_end = skipped.is_none_or(|skipped| skipped > end);
    let skipped = skipped.unwrap_or(u64::MAX).min(end);
    let mut tree = OptionTree::default();
    tree.set("size", end - skipped);
    let request = CreateRequest {
        format: format.clone(),
        filename: output.to_owned(),
        options: tree,
        ..CreateRequest::default()
    };
    create(&request, environment).map_err(|error| {
        error.prefixed(format!("{output}: error while creating output image: "))
    })?;
    let image = ImageArgument::Created {
        name: request.filename,
        format: request.format,
        options: OptionTree::default(),
    };
    let flags = OpenFlags {
        writable: true,
        cache: CacheMode::Writeback,
        ..OpenFlags::default()
    };
    let target = open(&image, flags, environment)?;
    if past_end {
        session.say(&format!("{input}: cannot skip to specified offset"));
    }
    let result = transfer(source, &target, skipped, end);
    let closed = target.close();
    result?;
    Ok(closed?)
}

fn transfer(
    source: &SharedNode,
    target: &SharedNode,
    skipped: u64,
    end: u64,
) -> Result<(), Failure> {
    let sources = Sources::window(source, skipped, end)?;
    let settings = Settings {
        workers: images::workers(),
        zeroes: Zeroes::AsData,
        compressed_cluster: None,
        verbatim: false,
        out_of_order: false,
        unwritten: Unwritten::Unknown,
        salvage: false,
        rate: None,
    };
    convert::run(&Conversion {
        sources: &sources,
        target,
        settings: &settings,
        progress: &Silent,
        salvaged: &|_, _, _| {},
    })
    .map_err(|failure| {
        let what = match failure.step {
            Step::Status | Step::Reading => "reading from input",
            Step::Writing => "writing to output",
        };
        let reason = failure.error.errno_text();
        Error::caller(format!("error while {what} image file: {reason}"))
            .with_source(failure.error)
            .into()
    })
}
