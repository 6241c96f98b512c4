//! The house rules as a test; see `docs/architecture.md`.

#[test]
fn placeholder_until_the_rules_land() {
    assert!(std::path::Path::new("Cargo.toml").exists());
}
