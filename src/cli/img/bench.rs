//! `qemu-img bench`.

use std::time::Instant;

use super::arguments::{Choice, Given};
use super::failure::{Failure, Outcome};
use super::images;
use super::session::{ImageOptions, Session, cache_mode, one_image};
use crate::base::size::{parse_argument_within, parse_count_within};
use crate::graph::{CacheMode, OpenFlags};
use crate::job::bench::{self, Bench};

const CHOICES: &[Choice] = &[
    Choice::flag('h', "help"),
    Choice::short_flag('q', "quiet"),
    Choice::long_flag("quiet").promised(),
    Choice::value('f', "format"),
    Choice::long_flag("image-opts"),
    Choice::value('t', "cache"),
    Choice::value('c', "count"),
    Choice::value('s', "buffer-size"),
    Choice::value('d', "depth"),
    Choice::value('o', "offset"),
    Choice::value('S', "step-size"),
    Choice::value('i', "aio"),
    Choice::flag('n', "native"),
    Choice::flag('w', "write"),
    Choice::long_value("pattern"),
    Choice::long_value("flush-interval"),
    Choice::long_flag("no-drain"),
    Choice::flag('U', "force-share"),
];

const LARGEST: u64 = i32::MAX.cast_unsigned() as u64;

/// What the command line says.
#[derive(Debug)]
struct Options {
    image: ImageOptions,
    cache: CacheMode,
    native: bool,
    bench: Bench,
    depth: u64,
    step: u64,
}

/// Runs `qemu-img bench`.
pub fn run(session: &mut Session, arguments: Vec<String>) -> Outcome {
    let mut options = Options {
        image: ImageOptions::default(),
        cache: CacheMode::Writeback,
        native: false,
        bench: Bench {
            count: 75000,
            size: 4096,
            ..Bench::default()
        },
        depth: 64,
        step: 0,
    };
    let mut given = session.arguments(CHOICES, arguments);
    while let Some(option) = session.next_option(&mut given)? {
        if let Some(option) = options.image.take(option) {
            options.take(option)?;
        }
    }
    let name = one_image(given)?;
    options.refuse_contradictions()?;
    let mut bench = options.bench;
    bench.step = if options.step == 0 {
        u64::from(bench.size)
    } else {
        options.step
    };
    // Requests wait for the kernel in threads here: more of them than that gain nothing.
    bench.workers = usize::try_from(options.depth)
        .unwrap_or(1)
        .min(images::workers());
    let environment = session.environment();
    let flags = OpenFlags {
        writable: bench.write,
        cache: options.cache,
        native_aio: options.native,
        ..OpenFlags::default()
    };
    let node = options.image.open(&name, flags, &environment)?;
    let depth = options.depth;
    session.print(&introduction(&bench, depth));
    let start = Instant::now();
    let result = bench::run(&node, &bench);
    let seconds = start.elapsed().as_secs_f64();
    let closed = node.close();
    if let Err(error) = result {
        return Err(Failure::words(format!(
            "Failed request: {}",
            error.errno_text()
        )));
    }
    closed?;
    session.print(&format!("Run completed in {seconds:.3} seconds.\n"));
    Ok(0)
}

fn introduction(bench: &Bench, depth: u64) -> String {
    let verb = if bench.write { "write" } else { "read" };
    let flushes = match bench.flush_interval {
        Some(interval) => format!("Sending flush every {interval} requests\n"),
        None => String::new(),
    };
    format!(
        "Sending {} {verb} requests, {} bytes each, {depth} in parallel (starting at offset {}, \
         step size {})\n{flushes}",
        bench.count, bench.size, bench.offset, bench.step
    )
}

impl Options {
    fn take(&mut self, option: Given) -> Result<(), Failure> {
        let value = option.value;
        let within = |what: &str, least: u64| parse_argument_within(what, &value, least, LARGEST);
        let count = |what: &str, least: u64| parse_count_within(what, &value, least, LARGEST);
        match option.key {
            "cache" => {
                self.cache =
                    cache_mode(&value).ok_or_else(|| Failure::words("Invalid cache mode"))?;
            }
            "count" => self.bench.count = count("request count", 1)?,
            "buffer-size" => {
                let size = within("buffer size", 1)?;
                self.bench.size = u32::try_from(size).unwrap_or(u32::MAX);
            }
            "depth" => self.depth = count("queue depth", 1)?,
            "offset" => {
                let largest = i64::MAX.cast_unsigned();
                self.bench.offset = parse_argument_within("offset", &value, 0, largest)?;
            }
            "step-size" => self.step = within("step size", 0)?,
            "aio" => match value.as_str() {
                "native" => self.native = true,
                "threads" | "io_uring" => self.native = false,
                other => {
                    return Err(Failure::words(format!("Invalid aio option: {other}")));
                }
            },
            "native" => self.native = true,
            "write" => self.bench.write = true,
            "pattern" => {
                let byte = parse_count_within("pattern byte", &value, 0, 255)?;
                self.bench.pattern = u8::try_from(byte).unwrap_or(u8::MAX);
            }
            "flush-interval" => {
                self.bench.flush_interval = Some(count("flush interval", 0)?).filter(|n| *n > 0);
            }
            _ => {}
        }
        Ok(())
    }

    fn refuse_contradictions(&self) -> Result<(), Failure> {
        self.image.refuse_contradiction()?;
        let Some(interval) = self.bench.flush_interval else {
            return Ok(());
        };
        if !self.bench.write {
            return Err(Failure::words(
                "--flush-interval is only available in write tests",
            ));
        }
        if interval < self.depth {
            return Err(Failure::words("Flush interval can't be smaller than depth"));
        }
        Ok(())
    }
}
