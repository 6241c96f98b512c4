use super::*;

#[test]
fn counts_names_and_escapes() {
    let mut reporter = JunitReporter::default();
    let outcomes = [
        Outcome::Pass,
        Outcome::Skipped {
            reason: "no od".to_owned(),
        },
        Outcome::Fail {
            reason: "output differs from the golden".to_owned(),
            expected: "<a>\n".to_owned(),
            actual: "<b>\n".to_owned(),
        },
    ];
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let case = CaseName {
            subject: "builtin".to_owned(),
            test: format!("04{number}-x"),
            format: "raw".to_owned(),
        };
        reporter.observe(&Event::CaseFinished {
            case,
            outcome,
            duration_ms: 1500,
        });
    }
    let xml = reporter.to_xml().unwrap();
    assert!(
        xml.contains(r#"tests="3" skipped="1" failures="1""#),
        "{xml}"
    );
    assert!(
        xml.contains(r#"name="042-x.raw" classname="builtin" time="1.500""#),
        "{xml}"
    );
    assert!(
        xml.contains("-&lt;a&gt;") && xml.contains("+&lt;b&gt;"),
        "{xml}"
    );
    assert!(xml.contains(r#"<skipped message="no od"/>"#), "{xml}");
}
