//! The page as people read it.

use std::fmt::Write;

pub enum Verdict {
    /// So many command lines were answered alike.
    Same(usize),
    Different(String),
    NotSupported(String),
}

pub struct Row {
    pub names: Vec<String>,
    pub verdict: Verdict,
    /// The help lists it.
    pub listed: bool,
}

pub struct Table {
    pub title: String,
    pub rows: Vec<Row>,
}

const HEADING: &str = "# Compatibility\n\n\
Every subcommand, option, creation and amend option and `qemu-io` command that the real tools' own help lists. \
*Same* means: so many command lines were given to both tools and answered with the same standard output, standard \
error, exit code and files. Made by `COMPATIBILITY=update cargo test --test compatibility`, which fails when a row is \
not true any more; `iotests/side_by_side` and `iotests/dropin` compare some thousand more command lines. Differences in \
detail are in [differences.md](differences.md).\n\n";

pub fn render(version: &str, tables: &[Table]) -> String {
    let mut page = HEADING.to_owned();
    let rows = || tables.iter().flat_map(|table| &table.rows);
    let probes: usize = rows()
        .map(|row| match row.verdict {
            Verdict::Same(probes) => probes,
            _ => 0,
        })
        .sum();
    let count = |wanted: fn(&Verdict) -> bool| rows().filter(|row| wanted(&row.verdict)).count();
    // Writing to a String does not fail, here and below.
    let _ = writeln!(page, "Compared with {version}.\n");
    let _ = writeln!(
        page,
        "{} rows the same ({probes} command lines), {} different on purpose, {} not supported.",
        count(|verdict| matches!(verdict, Verdict::Same(_))),
        count(|verdict| matches!(verdict, Verdict::Different(_))),
        count(|verdict| matches!(verdict, Verdict::NotSupported(_))),
    );
    for table in tables {
        let _ = write!(
            page,
            "\n## {}\n\n| | | |\n|---|---|---|\n",
            heading(&table.title)
        );
        for row in &table.rows {
            let _ = writeln!(page, "{}", line(row));
        }
    }
    page
}

/// The line that names the release.
pub fn release(page: &str) -> Option<&str> {
    page.lines().find(|line| line.starts_with("Compared with "))
}

fn heading(title: &str) -> String {
    match title.split_once(' ') {
        None => format!("qemu-{title}"),
        Some((tool @ ("img" | "io"), rest)) => format!("qemu-{tool} {rest}"),
        Some(_) => format!("qemu-img {title}"),
    }
}

fn line(row: &Row) -> String {
    let names: Vec<String> = row.names.iter().map(|name| format!("`{name}`")).collect();
    let unlisted = if row.listed { "" } else { " (in no help)" };
    let (verdict, why) = match &row.verdict {
        Verdict::Same(probes) => (format!("same ({probes})"), ""),
        Verdict::Different(why) => ("different on purpose".to_owned(), why.as_str()),
        Verdict::NotSupported(why) => ("not supported".to_owned(), why.as_str()),
    };
    format!("| {}{unlisted} | {verdict} | {why} |", names.join(", "))
}
