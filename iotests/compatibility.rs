//! `docs/compatibility.md`: what the real tools' own help lists, and whether ours is the same. No row says so without
//! a command line that both tools were given and answered alike.
//!
//! `COMPATIBILITY=update cargo test --test compatibility` writes the page.

#[path = "compatibility/help.rs"]
mod help;
#[path = "compatibility/page.rs"]
mod page;
#[path = "compatibility/probes.rs"]
mod probes;
#[path = "compatibility/stage.rs"]
mod stage;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use help::Section;
use page::{Row, Table, Verdict};
use probes::{Probes, Reason};
use stage::Stage;

const PROBES: [&str; 4] = [
    include_str!("compatibility/img.txt"),
    include_str!("compatibility/create.txt"),
    include_str!("compatibility/amend.txt"),
    include_str!("compatibility/io.txt"),
];

const THREADS: usize = 6;

#[test]
fn the_page_says_what_the_tools_do() {
    let Some(stage) = Stage::new() else {
        eprintln!("docs/compatibility.md: skipped(no qemu-img)");
        return;
    };
    let probes = Probes::parse(&PROBES);
    let sections = help::sections(&stage);
    let mut problems = probes.strangers(&sections);
    let mut tables = Vec::new();
    for (table, problem) in judge_all(&stage, &probes, &sections) {
        tables.push(table);
        problems.extend(problem);
    }
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
    let page = page::render(&stage.version(), &tables);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/compatibility.md");
    if std::env::var("COMPATIBILITY").as_deref() == Ok("update") {
        std::fs::write(path, page).expect("the page is written");
        return;
    }
    let known = std::fs::read_to_string(path).unwrap_or_default();
    if page::release(&known) != page::release(&page) {
        eprintln!("docs/compatibility.md: skipped(it is about another release of the real tools)");
        return;
    }
    let differs = known.lines().zip(page.lines()).find(|(a, b)| a != b);
    assert!(
        known == page,
        "docs/compatibility.md is out of date (COMPATIBILITY=update writes it): {differs:?}"
    );
}

/// Tries every section, several at a time: what takes long is waiting for the disk.
fn judge_all(stage: &Stage, probes: &Probes, sections: &[Section]) -> Vec<(Table, Vec<String>)> {
    let next = AtomicUsize::new(0);
    let judged = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(section) = sections.get(index) else {
                        return;
                    };
                    let table = judge(stage, probes, section);
                    judged.lock().expect("nobody panicked").insert(index, table);
                }
            });
        }
    });
    let judged = judged.into_inner().expect("nobody panicked");
    judged.into_values().collect()
}

/// Tries every row of a section.
fn judge(stage: &Stage, probes: &Probes, section: &Section) -> (Table, Vec<String>) {
    let mut problems = Vec::new();
    let mut rows = Vec::new();
    for names in probes.with_unlisted(section) {
        let what = format!("{} {}", section.title, names.join(", "));
        let lines = probes.of(&section.title, &names);
        let different: Vec<String> = lines
            .iter()
            .filter_map(|line| stage.difference(line))
            .collect();
        let verdict = match probes.reason(&section.title, &names) {
            Some(reason) => {
                if different.is_empty() && !lines.is_empty() {
                    problems.push(format!("{what}: said to differ, and does not"));
                }
                reason_verdict(reason)
            }
            None if lines.is_empty() => {
                problems.push(format!("{what}: no probe"));
                continue;
            }
            None => {
                problems.extend(different.iter().map(|text| format!("{what}: {text}")));
                Verdict::Same(lines.len())
            }
        };
        let listed = section.rows.contains(&names);
        rows.push(Row {
            names,
            verdict,
            listed,
        });
    }
    let title = section.title.clone();
    (Table { title, rows }, problems)
}

fn reason_verdict(reason: &Reason) -> Verdict {
    match reason {
        Reason::OnPurpose(why) => Verdict::Different(why.clone()),
        Reason::Missing(why) => Verdict::NotSupported(why.clone()),
    }
}
