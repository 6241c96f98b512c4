use super::*;

use crate::conform::event::{CaseName, Outcome, Summary};

#[test]
fn an_event_is_one_flat_line() {
    let mut reporter = JsonLinesReporter(Vec::new());
    let case = CaseName {
        subject: "builtin".to_owned(),
        test: "042-zero-size".to_owned(),
        format: "raw".to_owned(),
    };
    let outcome = Outcome::Skipped {
        reason: "no \"od\"".to_owned(),
    };
    let finished = Event::CaseFinished {
        case,
        outcome,
        duration_ms: 7,
    };
    reporter.observe(&finished).unwrap();
    let summary = Summary {
        passed: 1,
        failed: 2,
        skipped: 3,
    };
    reporter
        .observe(&Event::RunFinished {
            summary,
            duration_ms: 8,
        })
        .unwrap();
    assert_eq!(
        String::from_utf8(reporter.0).unwrap(),
        concat!(
            r#"{"event":"case-finished","subject":"builtin","test":"042-zero-size","format":"raw","#,
            r#""status":"skipped","reason":"no \"od\"","duration_ms":7}"#,
            "\n",
            r#"{"event":"run-finished","passed":1,"failed":2,"skipped":3,"duration_ms":8}"#,
            "\n",
        )
    );
}
