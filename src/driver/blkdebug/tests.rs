use std::sync::Arc;

use super::*;
use crate::base::GuestOffset;
use crate::base::error::errno;
use crate::driver::memory::Memory;
use crate::node::{DebugEvent, Node, ZeroFlags};

fn over_memory(rules: Vec<Rule>, limits: Limits) -> Blkdebug {
    let below = Arc::new(Memory::new(vec![0x5a; 1 << 20], 1 << 20));
    let options = BlkdebugOptions {
        filename: "blkdebug::memory".to_owned(),
        limits,
        rules,
    };
    Blkdebug::new(below, options).unwrap()
}

fn inject(event: DebugEvent) -> InjectError {
    InjectError {
        event,
        state: None,
        io_types: IoTypes::DEFAULT,
        errno: errno::EIO,
        sector: None,
        once: false,
        immediately: false,
    }
}

fn read(node: &dyn Node, offset: u64) -> Option<i32> {
    let mut buffer = [0; 512];
    node.read_at(GuestOffset::new(offset), &mut buffer)
        .err()
        .map(|error| error.errno())
}

fn write(node: &dyn Node, offset: u64) -> Option<i32> {
    node.write_at(GuestOffset::new(offset), &[1; 512])
        .err()
        .map(|error| error.errno())
}

#[test]
fn an_armed_rule_stays_until_an_event_arms_others() {
    let reads = InjectError {
        io_types: IoTypes::READ,
        ..inject(DebugEvent::Pwritev)
    };
    let discards = InjectError {
        io_types: IoTypes::DISCARD,
        ..inject(DebugEvent::PwritevZero)
    };
    let node = over_memory(
        vec![Rule::Inject(reads), Rule::Inject(discards)],
        Limits::default(),
    );
    assert_eq!(read(&node, 0), None);
    assert_eq!(write(&node, 0), None);
    assert_eq!(read(&node, 0), Some(errno::EIO));
    assert_eq!(read(&node, 0), Some(errno::EIO));
    node.write_zeroes(GuestOffset::ZERO, 512, ZeroFlags::empty())
        .unwrap();
    assert_eq!(read(&node, 0), None);
    assert!(node.discard(GuestOffset::ZERO, 512).is_err());
}

#[test]
fn rules_with_once_go_one_after_the_other() {
    let first = InjectError {
        errno: errno::ENOSPC,
        once: true,
        immediately: false,
        ..inject(DebugEvent::Pwritev)
    };
    let second = InjectError {
        errno: errno::EACCES,
        ..first
    };
    let node = over_memory(
        vec![Rule::Inject(first), Rule::Inject(second)],
        Limits::default(),
    );
    assert_eq!(write(&node, 0), Some(errno::ENOSPC));
    assert_eq!(read(&node, 0), Some(errno::EACCES));
    assert_eq!(read(&node, 0), None);
    assert_eq!(write(&node, 0), None);
}

#[test]
fn states_select_rules() {
    let error = InjectError {
        state: Some(2),
        ..inject(DebugEvent::Pwritev)
    };
    let change = SetState {
        event: DebugEvent::Pwritev,
        state: None,
        new_state: 2,
    };
    let node = over_memory(
        vec![Rule::Inject(error), Rule::State(change)],
        Limits::default(),
    );
    assert_eq!(write(&node, 0), None);
    assert_eq!(write(&node, 0), Some(errno::EIO));
}

#[test]
fn a_sector_is_hit_by_what_touches_it() {
    let error = InjectError {
        sector: Some(8),
        ..inject(DebugEvent::None)
    };
    let node = over_memory(vec![Rule::Inject(error)], Limits::default());
    assert_eq!(read(&node, 3584), None);
    assert_eq!(read(&node, 3585), Some(errno::EIO));
    assert_eq!(read(&node, 4607), Some(errno::EIO));
    assert_eq!(read(&node, 4608), None);
    assert!(node.flush().is_ok());
}

#[test]
fn an_unaligned_write_reads_around_itself() {
    let limits = Limits {
        align: 4096,
        ..Limits::default()
    };
    let error = InjectError {
        once: true,
        immediately: false,
        ..inject(DebugEvent::PwritevRmwHead)
    };
    let node = over_memory(vec![Rule::Inject(error)], limits);
    assert_eq!(write(&node, 512), Some(errno::EIO));
    assert_eq!(write(&node, 512), None);
    let mut block = [0; 4096];
    node.read_at(GuestOffset::ZERO, &mut block).unwrap();
    assert!(block[..512].iter().all(|byte| *byte == 0x5a));
    assert!(block[512..1024].iter().all(|byte| *byte == 1));
    assert!(block[1024..].iter().all(|byte| *byte == 0x5a));
}

#[test]
fn a_request_waits_at_a_breakpoint() {
    let node = Arc::new(over_memory(Vec::new(), Limits::default()));
    let breakpoints = node.breakpoints().unwrap();
    breakpoints.set("pwritev", "A").unwrap();
    assert!(breakpoints.set("no_such_event", "B").is_err());
    let writer = {
        let node = Arc::clone(&node);
        std::thread::spawn(move || write(node.as_ref(), 0))
    };
    breakpoints.wait("A");
    let mut first = [0];
    node.read_at(GuestOffset::ZERO, &mut first).unwrap();
    assert_eq!(first, [0x5a]);
    assert!(breakpoints.resume("B").is_err());
    breakpoints.resume("A").unwrap();
    assert_eq!(writer.join().unwrap(), None);
    node.read_at(GuestOffset::ZERO, &mut first).unwrap();
    assert_eq!(first, [1]);
    assert!(breakpoints.remove("A").is_err());
}

#[test]
fn a_configuration_file_has_sections_of_quoted_values() {
    let text = "# comment\n[inject-error \"x\"]\n event = \"none\"\nerrno = 5\n\n[set-state]\n";
    let sections = parse_config(text).unwrap();
    assert_eq!(sections.len(), 2);
    assert_eq!(sections[0].group, "inject-error");
    let entries = [("event", "none"), ("errno", "")];
    let entries = entries.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(sections[0].entries, entries);
    assert!(parse_config("event = \"none\"\n").is_err());
    assert!(parse_config("[throttle]\n").is_err());
}
