use std::sync::Arc;

use super::{Run, run};
use crate::base::Error;
use crate::driver::memory::Memory;
use crate::node::SharedNode;

fn runs(node: &SharedNode, start: u64, end: u64) -> Vec<(Run, bool)> {
    let mut runs = Vec::new();
    run::<Error>(node, start, end, &mut |run, last| {
        runs.push((run.clone(), last));
        Ok(())
    })
    .expect("memory does not fail");
    runs
}

#[test]
fn empty_range_is_one_empty_run() {
    let node: SharedNode = Arc::new(Memory::new(Vec::new(), 0));
    let found = runs(&node, 7, 7);
    assert_eq!(found.len(), 1);
    let (run, last) = &found[0];
    assert!(*last && run.start == 7 && run.length == 0 && !run.present);
}

#[test]
fn range_is_covered_by_one_run_when_all_is_alike() {
    let node: SharedNode = Arc::new(Memory::new(vec![1; 5000], 5000));
    let found = runs(&node, 100, 5000);
    assert_eq!(found.len(), 1);
    let (run, last) = &found[0];
    assert!(*last && run.data && !run.zero);
    assert_eq!((run.start, run.length), (100, 4900));
}

#[test]
fn runs_merge_only_where_the_places_follow() {
    use super::Place;
    let at = |start: u64, offset: u64| Run {
        start,
        length: 10,
        data: true,
        place: Some(Place {
            offset,
            filename: "x".to_owned(),
        }),
        ..Run::default()
    };
    let mut run = at(0, 100);
    assert_eq!(run.absorb(at(10, 110)), None);
    assert_eq!(run.length, 20);
    assert_eq!(run.absorb(at(20, 110)), Some(at(20, 110)));
    assert_eq!(run.length, 20);
}
