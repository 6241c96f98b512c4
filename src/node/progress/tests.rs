use super::*;
use std::sync::mpsc::channel;

const PATIENCE: Duration = Duration::from_millis(20);

#[test]
fn who_waits_knows_when_all_stand_still() {
    let board = Arc::new(Board::default());
    let request = board.begin();
    let (sender, receiver) = channel::<()>();
    let own = Arc::clone(&request);
    let thread = std::thread::spawn(move || {
        own.run(|| {
            current().unwrap().stand();
            receiver.recv().unwrap();
            follow(4);
        });
        own.end();
    });
    // Returns although nobody has patience: it stands.
    board.settle(PATIENCE, |_| false);
    assert!(!thread.is_finished());
    request.go_on();
    board.settle(PATIENCE, |standing| {
        assert!(!standing);
        true
    });
    assert!(!thread.is_finished());
    sender.send(()).unwrap();
    board.drain();
    assert_eq!(request.stage(), 5);
    thread.join().unwrap();
}

#[test]
fn a_thread_without_a_request_has_no_stage() {
    follow(1);
    assert!(current().is_none());
}
