//! The report for people.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Effects, Style};

use crate::audit::finding::{Evidence, Example, Finding};
use crate::audit::report::Protection;
use crate::audit::{ImageReport, Severity};

/// Where lines are broken.
const WIDTH: usize = 100;
/// Examples that are listed; JSON and the page have all.
const EXAMPLES_SHOWN: usize = 4;
/// Snapshots that are named.
const LAYERS_SHOWN: usize = 6;

/// Colours, or none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Palette {
    colored: bool,
}

impl Palette {
    /// Colours on a terminal, unless `NO_COLOR` is set.
    pub(super) fn for_stdout() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            colored: wanted && io::stdout().is_terminal(),
        }
    }

    fn paint(self, style: Style, text: &str) -> String {
        if self.colored {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    fn severity(self, severity: Severity) -> String {
        let color = match severity {
            Severity::High => AnsiColor::Red,
            Severity::Medium => AnsiColor::Yellow,
            Severity::Low => AnsiColor::Cyan,
            Severity::Info => AnsiColor::Blue,
        };
        let style = Style::new()
            .fg_color(Some(color.into()))
            .effects(Effects::BOLD);
        self.paint(style, &severity.name().to_uppercase())
    }
}

/// One image.
pub(super) fn write(out: &mut dyn Write, report: &ImageReport, palette: Palette) -> io::Result<()> {
    let bold = Style::new().effects(Effects::BOLD);
    let name = clean(&report.image.to_string_lossy());
    writeln!(out, "{}", palette.paint(bold, &name))?;
    writeln!(out, "  {}", what(report))?;
    for line in protection(&report.protection) {
        writeln!(out, "  {line}")?;
    }
    if report.layers.len() > 1 {
        writeln!(out, "  states: {}", layers(report))?;
    }
    if let Some(backing) = &report.backing_file {
        writeln!(out, "  backing file: {backing} (not examined)")?;
    }
    if !report.complete {
        writeln!(
            out,
            "  proofs on a sample of the data; --full reads all of it"
        )?;
    }
    if report.findings.is_empty() {
        let style = Style::new().fg_color(Some(AnsiColor::Green.into()));
        writeln!(out, "\n  {}", palette.paint(style, "nothing found"))?;
    }
    for finding in &report.findings {
        writeln!(out)?;
        write_finding(out, finding, palette)?;
    }
    Ok(())
}

fn what(report: &ImageReport) -> String {
    let clusters = report
        .cluster_size
        .map_or_else(String::new, |size| format!(", clusters of {}", bytes(size)));
    format!(
        "{}, disk of {}{clusters}, {} clusters stored",
        report.format,
        bytes(report.virtual_size),
        report.stored_clusters
    )
}

fn protection(facts: &Protection) -> Vec<String> {
    let (Some(cipher), Some(mode), Some(ivgen), Some(domain)) =
        (&facts.cipher, &facts.mode, &facts.ivgen, facts.iv_domain)
    else {
        return vec!["encryption: none".to_owned()];
    };
    let mut lines = vec![
        format!("encryption: {}, {cipher}-{mode}-{ivgen}", facts.encryption),
        format!(
            "IVs from: {}",
            match domain {
                "guest" => "the sector of the guest's disk",
                "host" => "the sector of the file",
                _ => "the sector behind the header",
            }
        ),
    ];
    if facts.encryption == "legacy-aes" {
        lines.push("key: the password itself".to_owned());
    } else {
        let slots: Vec<String> = facts
            .key_slots
            .iter()
            .map(|slot| format!("{} ({} iterations)", slot.slot, slot.iterations))
            .collect();
        let hash = facts.hash.as_deref().unwrap_or("-");
        lines.push(format!(
            "key slots in use: {}, PBKDF2 with {hash}",
            slots.join(", ")
        ));
    }
    lines.push(format!("in clear: {}", facts.in_clear));
    lines
}

fn layers(report: &ImageReport) -> String {
    let names: Vec<&str> = report
        .layers
        .iter()
        .map(|layer| layer.name.as_str())
        .collect();
    let shown = names
        .iter()
        .take(LAYERS_SHOWN)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(LAYERS_SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn write_finding(out: &mut dyn Write, finding: &Finding, palette: Palette) -> io::Result<()> {
    let bold = Style::new().effects(Effects::BOLD);
    writeln!(
        out,
        "  {}  {}  [{}]",
        palette.severity(finding.severity),
        palette.paint(bold, finding.title),
        finding.id.name()
    )?;
    wrapped(out, finding.explanation, "    ")?;
    write_evidence(out, &finding.evidence)?;
    if let Some(repair) = &finding.repair {
        writeln!(out, "    repair: {}", clean(repair))?;
    }
    Ok(())
}

fn write_evidence(out: &mut dyn Write, evidence: &Evidence) -> io::Result<()> {
    wrapped(
        out,
        &format!("evidence: {}", clean(&evidence.summary)),
        "    ",
    )?;
    for example in evidence.examples.iter().take(EXAMPLES_SHOWN) {
        writeln!(out, "      {}", example_line(example))?;
    }
    Ok(())
}

fn example_line(example: &Example) -> String {
    let places: Vec<String> = example
        .places
        .iter()
        .map(|place| format!("{:#x} ({})", place.host_offset, clean(&place.layer)))
        .collect();
    let guest = example
        .guest_offset
        .map_or_else(String::new, |guest| format!("guest {guest:#x}: "));
    let equal = example
        .equal_bytes
        .map_or_else(String::new, |equal| format!(", {equal} bytes equal"));
    format!("{guest}{}{equal}", places.join(" and "))
}

fn wrapped(out: &mut dyn Write, text: &str, indent: &str) -> io::Result<()> {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && indent.len() + line.len() + 1 + word.len() > WIDTH {
            writeln!(out, "{indent}{line}")?;
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    writeln!(out, "{indent}{line}")
}

/// A terminal must not act on names from images and file systems.
fn clean(text: &str) -> String {
    text.chars()
        .map(|one| if one.is_control() { '\u{fffd}' } else { one })
        .collect()
}

fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        if value < 1024 || !value.is_multiple_of(1024) {
            break;
        }
        value /= 1024;
        unit = next;
    }
    format!("{value} {unit}")
}
