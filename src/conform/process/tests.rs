use super::*;

fn shell(script: &str, limit: Duration) -> (Ending, String) {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    run(&mut command, &directory.path().join("output"), limit).unwrap()
}

const LONG: Duration = Duration::from_secs(30);

#[test]
fn both_streams_are_kept_in_order() {
    let (ending, output) = shell("echo one; echo two >&2; echo three; exit 3", LONG);
    assert_eq!(
        (ending, output.as_str()),
        (Ending::Code(3), "one\ntwo\nthree\n")
    );
}

#[test]
fn a_signal_is_told_from_an_exit_code() {
    assert_eq!(shell("kill -SEGV $$", LONG).0, Ending::Signal(11));
}

#[test]
fn children_die_with_a_script_whose_time_is_up() {
    let started = Instant::now();
    let (ending, output) = shell("echo before; sleep 60 & wait", Duration::from_millis(100));
    assert_eq!((ending, output.as_str()), (Ending::TimedOut, "before\n"));
    assert!(started.elapsed() < Duration::from_secs(20));
}
