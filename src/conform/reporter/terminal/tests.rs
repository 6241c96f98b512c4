use super::*;

use crate::conform::event::{SubjectFacts, Summary};

fn report(subjects: &[&str], cases: &[(&str, &str, Outcome)]) -> String {
    let mut bytes = Vec::new();
    let mut reporter = TerminalReporter::new(&mut bytes, Palette::default());
    let facts = subjects.iter().map(|name| SubjectFacts {
        name: (*name).to_owned(),
        version: Some("qemu-img version 1".to_owned()),
    });
    let started = Event::RunStarted {
        subjects: facts.collect(),
        cases: cases.len(),
    };
    reporter.observe(&started).unwrap();
    let mut summary = Summary::default();
    for (subject, test, outcome) in cases {
        summary.count(outcome);
        let case = CaseName {
            subject: (*subject).to_owned(),
            test: (*test).to_owned(),
            format: "raw".to_owned(),
        };
        let finished = Event::CaseFinished {
            case,
            outcome: outcome.clone(),
            duration_ms: 1250,
        };
        reporter.observe(&finished).unwrap();
    }
    reporter
        .observe(&Event::RunFinished {
            summary,
            duration_ms: 9,
        })
        .unwrap();
    String::from_utf8(bytes).unwrap()
}

fn failure() -> Outcome {
    Outcome::Fail {
        reason: "output differs from the golden".to_owned(),
        expected: "a\n".to_owned(),
        actual: "b\n".to_owned(),
    }
}

fn skip() -> Outcome {
    Outcome::Skipped {
        reason: "no od".to_owned(),
    }
}

#[test]
fn the_last_line_is_the_counts() {
    let text = report(
        &["builtin"],
        &[
            ("builtin", "1-a", Outcome::Pass),
            ("builtin", "2-b", failure()),
            ("builtin", "3-c", skip()),
        ],
    );
    assert_eq!(text.lines().last(), Some("1 passed, 1 failed, 1 skipped"));
    assert!(
        text.contains(
            "FAIL 2-b raw (1.2 s) output differs from the golden\n--- golden/2-b.raw.out\n"
        )
    );
    assert!(text.contains("skip 3-c raw (1.2 s) skipped(no od)\n"));
}

#[test]
fn several_subjects_make_a_matrix() {
    let text = report(
        &["builtin", "qemu"],
        &[
            ("builtin", "1-a", failure()),
            ("qemu", "1-a", Outcome::Pass),
            ("builtin", "2-b", skip()),
        ],
    );
    assert!(
        text.contains("         builtin  qemu\n1-a raw  FAIL     pass\n2-b raw  skip     -   \n"),
        "{text}"
    );
    assert_eq!(text.lines().last(), Some("1 passed, 1 failed, 1 skipped"));
}
