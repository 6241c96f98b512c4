use super::Wanted;

#[test]
fn sizes_are_absolute_or_relative() {
    let of = |text: &str, size| Wanted::parse(text).expect("a size").applied_to(size);
    assert_eq!(of("2M", 100), Some(2 << 20));
    assert_eq!(of("+1k", 1024), Some(2048));
    assert_eq!(of("-1k", 4096), Some(3072));
    assert_eq!(of("-1k", 1024), None);
    assert_eq!(of("-1k", 100), None);
    assert_eq!(of("9E", 100), None);
    assert!(Wanted::parse("").is_err() && Wanted::parse("+x").is_err());
}
