//! `qemu-img check`.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::arguments::Choice;
use super::failure::{Failure, Outcome};
use super::session::{ImageOptions, OutputFormat, Session, cache_mode, one_image};
use crate::base::Error;
use crate::base::error::errno;
use crate::cli::{explain, json, output};
use crate::graph::{CacheMode, OpenFlags};
use crate::node::notice::carries_program_name;
use crate::node::{CheckReport, Repair, SharedNode};

const CHOICES: &[Choice] = &[
    Choice::flag('h', "help"),
    Choice::flag('q', "quiet"),
    Choice::value('f', "format"),
    Choice::value('T', "cache"),
    Choice::value('r', "repair"),
    Choice::long_value("output"),
    Choice::long_value("object"),
    Choice::long_flag("image-opts"),
    Choice::flag('U', "force-share"),
];

/// Ours alone, so not where the real tool's name is used.
const EXPLAIN: Choice = Choice::long_flag("explain");

/// Exit codes, best first.
mod code {
    pub(super) const FAILED: u8 = 1;
    pub(super) const CORRUPT: u8 = 2;
    pub(super) const LEAKS: u8 = 3;
    pub(super) const NO_CHECK: u8 = 63;
}

/// Runs `qemu-img check`.
pub fn run(session: &mut Session, arguments: Vec<String>) -> Outcome {
    let mut image = ImageOptions::default();
    let mut output = OutputFormat::Human;
    let mut repair = Repair::Nothing;
    let mut cache_name = "writeback".to_owned();
    let mut explained = false;
    let choices = match session.program() {
        "qemu-img" => CHOICES.to_vec(),
        _ => [CHOICES, &[EXPLAIN]].concat(),
    };
    let mut given = session.arguments(&choices, arguments);
    while let Some(option) = session.next_option(&mut given)? {
        let Some(option) = image.take(option) else {
            continue;
        };
        match option.key {
            "cache" => cache_name = option.value,
            "explain" => explained = true,
            "repair" => repair = parse_repair(&option.value)?,
            _ => output = OutputFormat::parse(&option.value)?,
        }
    }
    let name = one_image(given)?;
    image.refuse_contradiction()?;
    if explained {
        let told = explain::tell(&name, output == OutputFormat::Json)?;
        session.print(&told.text);
        return Ok(told.code);
    }
    let cache: CacheMode = cache_mode(&cache_name)
        .ok_or_else(|| Failure::words(format!("Invalid source cache option: {cache_name}")))?;
    let environment = session.environment();
    let flags = OpenFlags {
        writable: repair != Repair::Nothing,
        check: true,
        cache,
        ..OpenFlags::default()
    };
    let node = image.open(&name, flags, &environment)?;
    let outcome = check(session, &node, &name, repair, output);
    session.close_after(&node, outcome)
}

fn parse_repair(name: &str) -> Result<Repair, Failure> {
    match name {
        "leaks" => Ok(Repair::Leaks),
        "all" => Ok(Repair::All),
        _ => Err(Failure::Usage(format!(
            "--repair (-r) expects 'leaks' or 'all' not '{name}'"
        ))),
    }
}

fn check(
    session: &Session,
    node: &SharedNode,
    name: &str,
    repair: Repair,
    output: OutputFormat,
) -> Outcome {
    let mut report = check_once(session, node, repair)?;
    if report.corruptions_fixed + report.leaks_fixed > 0 {
        let fixed = report;
        if output == OutputFormat::Human {
            session.print_unless_quiet(&repaired_text(&fixed));
        }
        report = CheckReport {
            leaks_fixed: fixed.leaks_fixed,
            corruptions_fixed: fixed.corruptions_fixed,
            ..check_once(session, node, Repair::Nothing)?
        };
    }
    match output {
        OutputFormat::Human => session.print_unless_quiet(&text(&report)),
        OutputFormat::Json => {
            let value = Value::Object(facts(&report, name, node.driver()));
            session.print_unless_quiet(&format!("{}\n", json::pretty(&value)));
        }
    }
    // What could not be examined outweighs what was found.
    Ok(if report.check_errors > 0 {
        code::FAILED
    } else if report.corruptions > 0 {
        code::CORRUPT
    } else if report.leaks > 0 {
        code::LEAKS
    } else {
        0
    })
}

fn check_once(
    session: &Session,
    node: &SharedNode,
    repair: Repair,
) -> Result<CheckReport, Failure> {
    let report = node
        .check(repair, &mut |line| {
            if carries_program_name(line) {
                session.say(line);
            } else {
                output::complain(format_args!("{line}\n"));
            }
        })
        .map_err(|error| failed(session, &error))?;
    if report.check_errors > 0 {
        session.say("Check failed");
    }
    Ok(report)
}

fn failed(session: &Session, error: &Error) -> Failure {
    if error.errno() == errno::ENOTSUP && error.is_bare() {
        Failure::words("This image format does not support checks").with_code(code::NO_CHECK)
    } else {
        if !error.is_bare() {
            session.report(error);
        }
        Failure::words(format!("Check failed: {}", error.errno_text()))
    }
}

fn repaired_text(fixed: &CheckReport) -> String {
    format!(
        "The following inconsistencies were found and repaired:\n\n    {} leaked clusters\n    {} corruptions\n\n\
         Double checking the fixed image now...\n",
        fixed.leaks_fixed, fixed.corruptions_fixed
    )
}

fn text(report: &CheckReport) -> String {
    let mut text = String::new();
    if report.corruptions + report.leaks + report.check_errors == 0 {
        text.push_str("No errors were found on the image.\n");
    }
    // Writing to a String does not fail, here and below.
    if report.corruptions > 0 {
        let _ = write!(
            text,
            "\n{} errors were found on the image.\n\
             Data may be corrupted, or further writes to the image may corrupt it.\n",
            report.corruptions
        );
    }
    if report.leaks > 0 {
        let _ = write!(
            text,
            "\n{} leaked clusters were found on the image.\n\
             This means waste of disk space, but no harm to data.\n",
            report.leaks
        );
    }
    if report.check_errors > 0 {
        let _ = write!(
            text,
            "\n{} internal errors have occurred during the check.\n",
            report.check_errors
        );
    }
    if report.total_clusters > 0 && report.allocated_clusters > 0 {
        let _ = writeln!(
            text,
            "{}/{} = {:.2}% allocated, {:.2}% fragmented, {:.2}% compressed clusters",
            report.allocated_clusters,
            report.total_clusters,
            percentage(report.allocated_clusters, report.total_clusters),
            percentage(report.fragmented_clusters, report.allocated_clusters),
            percentage(report.compressed_clusters, report.allocated_clusters),
        );
    }
    if report.image_end_offset > 0 {
        let _ = writeln!(text, "Image end offset: {}", report.image_end_offset);
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "two digits are printed")]
fn percentage(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole as f64
}

/// The JSON object: a count of nothing is left out, but for check-errors.
fn facts(report: &CheckReport, name: &str, format: &str) -> Map<String, Value> {
    let mut facts = Map::new();
    let mut count = |name: &str, value: u64| {
        if value > 0 || name == "check-errors" {
            facts.insert(name.to_owned(), value.into());
        }
    };
    count("image-end-offset", report.image_end_offset);
    count("compressed-clusters", report.compressed_clusters);
    count("total-clusters", report.total_clusters);
    count("corruptions", report.corruptions);
    count("corruptions-fixed", report.corruptions_fixed);
    count("check-errors", report.check_errors);
    count("leaks", report.leaks);
    count("leaks-fixed", report.leaks_fixed);
    count("allocated-clusters", report.allocated_clusters);
    facts.insert("filename".to_owned(), name.into());
    facts.insert("format".to_owned(), format.into());
    if report.fragmented_clusters > 0 {
        let fragmented = report.fragmented_clusters.into();
        facts.insert("fragmented-clusters".to_owned(), fragmented);
    }
    facts
}

#[cfg(test)]
mod tests;
