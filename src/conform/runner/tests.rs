use super::*;

use crate::conform::golden::Recording;
use crate::conform::suite::Suite;

const HEADER: &str =
    "# title: t\n# breaks: b\n# groups: rw\n# formats: raw\n# requires: nothing\n# origin: ours\n";

struct Machine {
    root: tempfile::TempDir,
}

impl Machine {
    fn new(scripts: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("iotests")).unwrap();
        for (name, body) in scripts {
            let path = root.path().join(format!("iotests/{name}.sh"));
            std::fs::write(path, format!("{HEADER}\n{body}\n")).unwrap();
        }
        Self { root }
    }

    fn golden(suite: &Suite, test: &str, output: &str) {
        let recording = Recording {
            test: test.to_owned(),
            format: "raw".to_owned(),
            output: output.to_owned(),
        };
        suite.goldens.record(&[recording], "tool", None).unwrap();
    }

    fn run(&self, suite: &Suite, limit: Duration) -> Vec<(String, Outcome)> {
        let subjects = [self.subject()];
        let cases: Vec<_> = suite.scripts.iter().map(|script| (script, "raw")).collect();
        let mut outcomes = Vec::new();
        let summary = run(&self.plan(suite, &subjects, &cases, limit), &mut |event| {
            if let Event::CaseFinished { case, outcome, .. } = event {
                outcomes.push((case.test.clone(), outcome.clone()));
            }
        });
        assert_eq!(
            summary.passed + summary.failed + summary.skipped,
            cases.len()
        );
        outcomes.sort_by(|one, other| one.0.cmp(&other.0));
        outcomes
    }

    fn subject(&self) -> Subject {
        Subject {
            name: "fake".to_owned(),
            directory: self.root.path().to_owned(),
            kind: SubjectKind::Other,
            package: None,
        }
    }

    fn plan<'a>(
        &self,
        suite: &'a Suite,
        subjects: &'a [Subject],
        cases: &'a [(&'a Script, &'a str)],
        time_limit: Duration,
    ) -> Plan<'a> {
        Plan {
            subjects,
            cases,
            goldens: &suite.goldens,
            jobs: 3,
            time_limit,
            scratch: self.root.path().to_owned(),
            keep: false,
            judge: PathBuf::from("cowproof"),
            search_path: std::env::var_os("PATH").unwrap(),
        }
    }
}

const LONG: Duration = Duration::from_secs(30);

fn reason(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Fail { reason, .. } | Outcome::Skipped { reason } => reason,
    }
}

#[test]
fn each_ending_has_its_outcome() {
    let machine = Machine::new(&[
        ("001-same", "echo \"$PWD $IMAGE_FORMAT\""),
        ("002-differs", "echo other"),
        ("003-no-golden", "echo new"),
        ("004-exit", "echo same; exit 9"),
        ("005-signal", "echo same; kill -ABRT $$"),
        ("006-skip", "echo 'no kvm' >\"$SKIP_NOTE\""),
    ]);
    let suite = Suite::load(machine.root.path()).unwrap();
    Machine::golden(&suite, "001-same", "TEST_DIR raw\n");
    for test in ["002-differs", "004-exit", "005-signal", "006-skip"] {
        Machine::golden(&suite, test, "same\n");
    }
    let outcomes = machine.run(&suite, LONG);
    let reasons: Vec<&str> = outcomes
        .iter()
        .map(|(_, outcome)| reason(outcome))
        .collect();
    assert_eq!(
        reasons,
        [
            "pass",
            "output differs from the golden",
            "no golden",
            "the script exited with 9",
            "signal 6 ended the script",
            "no kvm",
        ]
    );
    assert!(matches!(outcomes[5].1, Outcome::Skipped { .. }));
}

#[test]
fn a_script_that_hangs_fails() {
    let machine = Machine::new(&[("001-hangs", "sleep 60")]);
    let suite = Suite::load(machine.root.path()).unwrap();
    Machine::golden(&suite, "001-hangs", "");
    let outcomes = machine.run(&suite, Duration::from_millis(50));
    assert_eq!(reason(&outcomes[0].1), "no end after 0 s");
}

#[test]
fn private_directories_are_gone_afterwards() {
    let machine = Machine::new(&[("001-files", "echo data >file; mkdir -p a/b")]);
    let suite = Suite::load(machine.root.path()).unwrap();
    Machine::golden(&suite, "001-files", "");
    assert_eq!(machine.run(&suite, LONG)[0].1, Outcome::Pass);
    let mut left: Vec<_> = std::fs::read_dir(machine.root.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["golden", "iotests"]);
}

#[test]
fn a_missing_program_is_a_skip_with_its_name() {
    let machine = Machine::new(&[("001-needs", "echo")]);
    let path = machine.root.path().join("iotests/001-needs.sh");
    let text = std::fs::read_to_string(&path).unwrap();
    let needs = "requires: program:no-such-program";
    std::fs::write(&path, text.replace("requires: nothing", needs)).unwrap();
    let suite = Suite::load(machine.root.path()).unwrap();
    let outcomes = machine.run(&suite, LONG);
    assert_eq!(reason(&outcomes[0].1), "no no-such-program");
}

#[test]
fn recording_sees_output_that_changes_from_run_to_run() {
    let machine = Machine::new(&[
        ("001-steady", "echo a"),
        ("002-random", "echo $RANDOM$RANDOM"),
    ]);
    let suite = Suite::load(machine.root.path()).unwrap();
    let subjects = [machine.subject()];
    let cases: Vec<_> = suite.scripts.iter().map(|script| (script, "raw")).collect();
    let plan = machine.plan(&suite, &subjects, &cases, LONG);
    let twice = print_twice(&plan, &subjects[0]);
    let [first, second] = twice[0].as_ref().unwrap();
    assert_eq!(first, second);
    let [first, second] = twice[1].as_ref().unwrap();
    assert_ne!(first, second);
}
