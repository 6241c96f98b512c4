//! The command line of `convert`.

use super::super::arguments::{Choice, Given};
use super::super::failure::Failure;
use super::super::format_options::FormatOptions;
use super::super::images;
use super::super::option_help;
use super::super::session::Session;
use crate::base::size::{parse_argument, parse_count_within};
use crate::graph::CacheMode;

/// The order shows where an abbreviation is ambiguous. The long names are the ones that work in the real tool; those
/// that only its help knows follow.
const CHOICES: &[Choice] = &[
    Choice::flag('h', "help"),
    Choice::flag('q', "quiet"),
    Choice::long_value("object"),
    Choice::long_flag("source-image-opts"),
    Choice::long_flag("image-opts").meaning("source-image-opts"),
    Choice::value('f', "source-format"),
    Choice::value('T', "source-cache"),
    Choice::value('l', "snapshot").meaning("source-snapshot"),
    Choice::long_flag("target-image-opts"),
    Choice::value('O', "output-format").meaning("target-format"),
    Choice::value('o', "options").meaning("target-options"),
    Choice::value('t', "output-cache").meaning("target-cache"),
    Choice::value('B', "backing"),
    Choice::value('F', "backing-format"),
    Choice::short_flag('c', "compress"),
    Choice::short_flag('n', "no-create"),
    Choice::short_flag('p', "progress"),
    Choice::long_flag("target-is-zero"),
    Choice::value('S', "sparse-size"),
    Choice::long_flag("bitmaps"),
    Choice::long_flag("salvage"),
    Choice::flag('W', "oob-writes"),
    Choice::long_flag("skip-broken-bitmaps"),
    Choice::flag('U', "force-share"),
    Choice::value('r', "rate"),
    Choice::value('m', "parallel"),
    Choice::flag('C', "copy-range-offloading"),
    Choice::long_flag("progress").promised(),
    Choice::long_value("source-snapshot").promised(),
    Choice::long_value("target-format").promised(),
    Choice::long_value("target-options").promised(),
    Choice::long_flag("compress").promised(),
    Choice::long_value("target-cache").promised(),
    Choice::long_flag("no-create").promised(),
];

/// Longest run of zeros that `-S` can ask for.
const SPARSE_SIZE_MAX: u64 = 16 << 20;
/// Zeros are looked for in pieces of whole sectors.
const SECTOR: u64 = 512;

/// What the command line says.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of the command line"
)]
#[derive(Debug)]
pub(super) struct Options {
    pub(super) sources: Vec<String>,
    pub(super) target: String,
    pub(super) source_format: Option<String>,
    pub(super) source_image_opts: bool,
    pub(super) snapshot: Option<String>,
    pub(super) source_cache: CacheMode,
    pub(super) target_format: Option<String>,
    pub(super) target_image_opts: bool,
    pub(super) made_with: FormatOptions,
    /// Checked late, as the real tool does.
    pub(super) target_cache: Option<String>,
    pub(super) compressed: bool,
    pub(super) backing: Option<String>,
    pub(super) backing_format: Option<String>,
    pub(super) no_create: bool,
    pub(super) target_is_zero: bool,
    pub(super) sparse_size: usize,
    pub(super) sparse_size_given: bool,
    pub(super) bitmaps: bool,
    pub(super) skip_broken_bitmaps: bool,
    pub(super) force_share: bool,
    pub(super) rate: Option<u64>,
    pub(super) workers: usize,
    pub(super) copy_range: bool,
    pub(super) salvage: bool,
    pub(super) out_of_order: bool,
    pub(super) progress: bool,
    source_cache_name: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sources: Vec::new(),
            target: String::new(),
            source_format: None,
            source_image_opts: false,
            snapshot: None,
            source_cache: CacheMode::Writeback,
            target_format: None,
            target_image_opts: false,
            made_with: FormatOptions::default(),
            target_cache: None,
            compressed: false,
            backing: None,
            backing_format: None,
            no_create: false,
            target_is_zero: false,
            sparse_size: 4096,
            sparse_size_given: false,
            bitmaps: false,
            skip_broken_bitmaps: false,
            force_share: false,
            rate: None,
            workers: images::workers(),
            copy_range: false,
            salvage: false,
            out_of_order: false,
            progress: false,
            source_cache_name: None,
        }
    }
}

impl Options {
    pub(super) fn parse(session: &mut Session, arguments: Vec<String>) -> Result<Self, Failure> {
        let mut options = Self::default();
        let mut given = session.arguments(CHOICES, arguments);
        while let Some(option) = session.next_option(&mut given)? {
            options.take(session, option)?;
        }
        let mut operands = given.into_operands();
        options.refuse_contradictions()?;
        if options.made_with.asks_for_help() {
            let format = options.target_format.as_deref().unwrap_or("raw");
            let target = operands.get(1..).and_then(<[String]>::last);
            option_help::create(session, format, target.map(String::as_str))?;
            return Err(Failure::Said(0));
        }
        options.target = operands.pop().unwrap_or_default();
        if operands.is_empty() {
            return Err(Failure::words("Must specify image file name"));
        }
        options.sources = operands;
        if let Some(name) = &options.source_cache_name {
            options.source_cache = images::source_cache(name)?;
        }
        Ok(options)
    }

    fn take(&mut self, session: &Session, option: Given) -> Result<(), Failure> {
        let value = option.value;
        match option.key {
            "progress" => self.progress = true,
            "source-format" => self.source_format = Some(value),
            "source-image-opts" => self.source_image_opts = true,
            "source-snapshot" => {
                super::snapshot::check(session, &value)?;
                self.snapshot = Some(value);
            }
            "source-cache" => self.source_cache_name = Some(value),
            "target-format" => self.target_format = Some(value),
            "target-image-opts" => self.target_image_opts = true,
            "target-options" => self.made_with.add(&value)?,
            "compress" => self.compressed = true,
            "target-cache" => self.target_cache = Some(value),
            "backing" => self.backing = Some(value),
            "backing-format" => self.backing_format = Some(value),
            "no-create" => self.no_create = true,
            "target-is-zero" => self.target_is_zero = true,
            "sparse-size" => {
                self.sparse_size = sparse_size(&value)?;
                self.sparse_size_given = true;
            }
            "bitmaps" => self.bitmaps = true,
            "skip-broken-bitmaps" => self.skip_broken_bitmaps = true,
            "force-share" => self.force_share = true,
            "rate" => self.rate = Some(parse_argument("rate limit", &value)?),
            "parallel" => {
                let number = parse_count_within("number of coroutines", &value, 1, 16)?;
                let number = usize::try_from(number).unwrap_or(1);
                self.workers = number.min(images::workers());
            }
            "copy-range-offloading" => self.copy_range = true,
            "salvage" => self.salvage = true,
            "oob-writes" => self.out_of_order = true,
            _ => {}
        }
        Ok(())
    }

    fn refuse_contradictions(&self) -> Result<(), Failure> {
        let contradictions = [
            (
                self.skip_broken_bitmaps && !self.bitmaps,
                "Use of --skip-broken-bitmaps requires --bitmaps",
            ),
            (
                self.copy_range && self.compressed,
                "Cannot enable copy offloading when -c is used",
            ),
            (
                self.copy_range && self.sparse_size_given,
                "Cannot enable copy offloading when -S is used",
            ),
            (
                self.copy_range && self.salvage,
                "Cannot use copy offloading in salvaging mode",
            ),
            (
                self.no_create && !self.made_with.is_empty(),
                "-o has no effect when skipping image creation",
            ),
            (
                self.target_image_opts && !self.no_create,
                "--target-image-opts requires use of -n flag",
            ),
            (
                self.target_is_zero && !self.no_create,
                "--target-is-zero requires use of -n flag",
            ),
        ];
        match contradictions.iter().find(|(found, _)| *found) {
            Some((_, words)) => Err(Failure::words(*words)),
            None => Ok(()),
        }
    }
}

fn sparse_size(text: &str) -> Result<usize, Failure> {
    let what = "buffer size for sparse output";
    let bytes = parse_argument(what, text)?;
    if !bytes.is_multiple_of(SECTOR) || bytes > SPARSE_SIZE_MAX {
        return Err(Failure::words(format!(
            "Invalid {what} specified. Valid sizes are multiples of {SECTOR} up to {SPARSE_SIZE_MAX}. \
             Select 0 to disable sparse detection (fully allocates output)."
        )));
    }
    Ok(usize::try_from(bytes).unwrap_or(0))
}
