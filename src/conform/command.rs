//! `cowproof run`: the conformance suite on one or more subjects.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::event::{Event, Summary};
use super::golden::Recording;
use super::reporter::diff::Palette;
use super::reporter::jsonl::JsonLinesReporter;
use super::reporter::junit::JunitReporter;
use super::reporter::terminal::TerminalReporter;
use super::runner::{self, Plan, Printed};
use super::script::{FORMATS, GROUPS};
use super::selection::Selection;
use super::subject::{SubjectFinder, SubjectKind};
use super::suite::Suite;

/// Something failed, or nothing passed.
const EXIT_FAILED: u8 = 1;
/// The run could not take place: usage, no suite, no such subject.
const EXIT_NOT_RUN: u8 = 2;

/// What `cowproof run` takes.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Exit codes: 0 all tests passed (skipped ones aside); 1 a test failed or none passed; \
    2 the run could not take place."
)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
pub struct RunArguments {
    /// Only these: a number (042), a name (042-zero-size), either with a format (042.qcow2)
    #[arg(value_name = "TEST")]
    tests: Vec<String>,
    /// Whose tools to test: NAME=DIR with qemu-img and qemu-io in DIR, NAME=auto for the real tools
    /// on PATH, NAME=builtin for this program (the default); several make a matrix
    #[arg(short, long, value_name = "NAME=DIR")]
    subject: Vec<String>,
    /// Only tests of this group
    #[arg(short, long, value_parser = clap::builder::PossibleValuesParser::new(GROUPS))]
    group: Vec<String>,
    /// Not this group or test
    #[arg(short = 'x', long, value_name = "GROUP|TEST")]
    exclude: Vec<String>,
    /// Only this image format
    #[arg(short, long, value_parser = clap::builder::PossibleValuesParser::new(FORMATS))]
    format: Vec<String>,
    /// How many tests at a time [default: one a core]
    #[arg(short, long, value_name = "N")]
    jobs: Option<usize>,
    /// List the tests and what breaks when one fails
    #[arg(short, long)]
    list: bool,
    /// Write goldens from the one subject, which must be the real tools; refused when CI is set
    #[arg(long, conflicts_with_all = ["junit", "jsonl", "list"])]
    record: bool,
    /// With --record: what differs from the goldens that are there goes into a directory of the package's name
    #[arg(long, requires = "record")]
    edition: bool,
    /// Write a `JUnit` report
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write the events, one JSON object a line
    #[arg(long, value_name = "FILE")]
    jsonl: Option<PathBuf>,
    /// The directory with iotests/ and golden/ [default: that of the source this was built from]
    #[arg(long, value_name = "DIR")]
    suite: Option<PathBuf>,
    /// Make the tests' private directories here [default: the system's temporary directory]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Leave the tests' private directories behind
    #[arg(long)]
    keep: bool,
    /// Seconds that one test may take
    #[arg(long, value_name = "SECONDS", default_value_t = 180)]
    timeout: u64,
}

type Failure = Box<dyn std::error::Error>;

/// `cowproof run`.
pub fn main(arguments: &RunArguments) -> ExitCode {
    match std::env::current_exe()
        .map_err(Failure::from)
        .and_then(|program| run(arguments, program))
    {
        Ok(summary) if summary.is_success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(EXIT_FAILED),
        Err(error) => {
            eprintln!("cowproof run: {error}");
            ExitCode::from(EXIT_NOT_RUN)
        }
    }
}

/// The run, with `program` as the built-in subject.
pub fn run(arguments: &RunArguments, program: PathBuf) -> Result<Summary, Failure> {
    let root = arguments
        .suite
        .clone()
        .unwrap_or_else(|| Suite::default_root().to_owned());
    let suite = Suite::load(&root)?;
    let selection = Selection {
        tests: arguments.tests.clone(),
        groups: arguments.group.clone(),
        excluded: arguments.exclude.clone(),
        formats: arguments.format.clone(),
    };
    let cases = selection.choose(&suite.scripts)?;
    if arguments.list {
        return list(&cases).map_err(Failure::from);
    }
    let private = private_directory(arguments)?;
    let finder = SubjectFinder {
        program,
        links: private.path().join("tools"),
        search_path: std::env::var_os("PATH").unwrap_or_default(),
    };
    let mut subjects = if arguments.subject.is_empty() {
        vec![finder.built_in("builtin")?]
    } else {
        let found = arguments
            .subject
            .iter()
            .map(|argument| finder.find(argument));
        found.collect::<Result<Vec<_>, _>>()?
    };
    for subject in &mut subjects {
        if subject.kind == SubjectKind::RealTools {
            subject.package = subject.find_package();
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let plan = Plan {
        subjects: &subjects,
        cases: &cases,
        goldens: &suite.goldens,
        jobs: arguments.jobs.unwrap_or(cores),
        time_limit: Duration::from_secs(arguments.timeout),
        scratch: private.path().to_owned(),
        keep: arguments.keep,
        judge: finder.program.clone(),
        search_path: finder.search_path.clone(),
    };
    let summary = if arguments.record {
        record(&plan, arguments.edition)?
    } else {
        report(arguments, &plan)?
    };
    if arguments.keep {
        eprintln!("kept: {}", private.keep().display());
    }
    Ok(summary)
}

fn private_directory(arguments: &RunArguments) -> io::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("cowproof-run-");
    match &arguments.scratch {
        Some(directory) => builder.tempdir_in(std::path::absolute(directory)?),
        None => builder.tempdir(),
    }
}

fn list(cases: &[(&super::script::Script, &str)]) -> io::Result<Summary> {
    let mut out = io::stdout().lock();
    for (script, format) in cases {
        let header = &script.header;
        let groups = header.groups.join(" ");
        writeln!(
            out,
            "{}.{format} [{groups}] {}: {}",
            script.name, header.title, header.breaks
        )?;
    }
    // Listing succeeds: as many as were listed.
    Ok(Summary {
        passed: cases.len(),
        ..Summary::default()
    })
}

fn report(arguments: &RunArguments, plan: &Plan<'_>) -> Result<Summary, Failure> {
    let stdout = io::stdout();
    let palette = Palette {
        colored: stdout.is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    };
    let mut terminal = TerminalReporter::new(stdout.lock(), palette);
    let mut jsonl = match &arguments.jsonl {
        Some(path) => Some(JsonLinesReporter(BufWriter::new(create(path)?))),
        None => None,
    };
    let mut junit = JunitReporter::default();
    let mut trouble: Option<io::Error> = None;
    let summary = runner::run(plan, &mut |event: &Event| {
        junit.observe(event);
        let told = terminal.observe(event);
        let logged = jsonl.as_mut().map_or(Ok(()), |jsonl| jsonl.observe(event));
        trouble = trouble.take().or(told.and(logged).err());
    });
    if let Some(path) = &arguments.junit {
        create(path)?.write_all(junit.to_xml()?.as_bytes())?;
    }
    match trouble {
        None => Ok(summary),
        Some(error) => Err(error.into()),
    }
}

fn create(path: &PathBuf) -> Result<File, Failure> {
    File::create(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Two runs of each script, which must print the same; then the goldens are written.
fn record(plan: &Plan<'_>, edition: bool) -> Result<Summary, Failure> {
    if std::env::var_os("CI").is_some() {
        return Err("--record: CI is set, and a CI run must judge goldens, not make them".into());
    }
    let [subject] = plan.subjects else {
        return Err("--record: exactly one --subject".into());
    };
    if subject.kind != SubjectKind::RealTools {
        return Err(format!("--record: subject {} is not the real tools", subject.name).into());
    }
    let mut summary = Summary::default();
    let mut recordings = Vec::new();
    for (output, (script, format)) in runner::print_twice(plan, subject)
        .into_iter()
        .zip(plan.cases)
    {
        let name = format!("{}.{format}", script.name);
        match output? {
            [Printed::Output(first), Printed::Output(second)] if first == second => {
                println!("recorded {name}");
                summary.passed += 1;
                recordings.push(Recording {
                    test: script.name.clone(),
                    format: (*format).to_owned(),
                    output: first,
                });
            }
            [Printed::Skipped(reason), _] => {
                println!("skip {name} skipped({reason})");
                summary.skipped += 1;
            }
            [first, second] => {
                println!(
                    "FAIL {name} is not fit for a golden: {}",
                    unfit(&first, &second)
                );
                summary.failed += 1;
            }
        }
    }
    let version = subject.version().unwrap_or_default();
    let package = subject.package.as_deref();
    if edition {
        let package = package.ok_or("--edition: the tools are of no package")?;
        let usual = |case: &Recording| plan.goldens.read(&case.test, &case.format);
        recordings.retain(|case| usual(case).ok().flatten().as_ref() != Some(&case.output));
        let edition = plan.goldens.edition(package);
        edition.record(&recordings, &version, Some(package))?;
    } else {
        plan.goldens.record(&recordings, &version, package)?;
    }
    println!("\n{summary}");
    Ok(summary)
}

fn unfit(first: &Printed, second: &Printed) -> String {
    match (first, second) {
        (Printed::Broken { reason, output }, _) | (_, Printed::Broken { reason, output }) => {
            format!("{reason}\n{output}")
        }
        (Printed::Output(first), Printed::Output(second)) => {
            let palette = Palette::default();
            let diff = super::reporter::diff::unified(first, second, "first", "second", palette);
            format!("it differs from run to run\n{diff}")
        }
        _ => "it was skipped the second time".to_owned(),
    }
}
