use super::*;

#[test]
fn parser_speaks_under_the_full_name() {
    let mut session = Session::new("./tools/qemu-img");
    assert_eq!(session.program(), "qemu-img");
    assert_eq!(session.speaker(), "./tools/qemu-img");
    session.enter("map");
    assert_eq!(session.speaker(), "./tools/qemu-img map");
}

#[test]
fn exit_code_comes_from_the_outcome() {
    let session = Session::new("qemu-img");
    assert_eq!(session.finish(Ok(3)), 3);
    assert_eq!(session.finish(Err(Failure::Said(63))), 63);
    assert_eq!(session.finish(Err(Failure::words("x").with_code(2))), 2);
}

#[test]
fn cache_modes_have_the_real_tools_names() {
    assert_eq!(cache_mode("off"), Some(CacheMode::None));
    assert_eq!(cache_mode("writethrough"), Some(CacheMode::Writethrough));
    assert_eq!(cache_mode("Writeback"), None);
    assert_eq!(cache_mode(""), None);
}
