use std::sync::Arc;

use super::{Bench, run};
use crate::driver::memory::Memory;
use crate::node::SharedNode;

#[test]
fn requests_step_and_start_again_past_the_end() {
    let memory = Arc::new(Memory::new(vec![0; 4096], 4096));
    let node: SharedNode = memory.clone();
    let bench = Bench {
        count: 3,
        size: 512,
        offset: 1024,
        step: 2048,
        write: true,
        pattern: 7,
        flush_interval: Some(2),
        workers: 2,
    };
    run(&node, &bench).expect("memory does not fail");
    let bytes = memory.snapshot();
    let written: Vec<usize> = (0..8)
        .filter(|sector| bytes[sector * 512..][..512].iter().all(|byte| *byte == 7))
        .collect();
    // 1024, 3072, and 5120, which is 1024 again.
    assert_eq!(written, [2, 6]);
}
