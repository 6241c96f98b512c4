use super::*;

/// 32 zero bytes.
const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
/// 16 zero bytes.
const IV: &str = "AAAAAAAAAAAAAAAAAAAAAA==";

fn definition(id: &str, content: &str, format: SecretFormat) -> SecretDefinition {
    SecretDefinition {
        id: id.to_owned(),
        content: Secret::new(content.as_bytes().to_vec()),
        format,
        key_id: None,
        iv: None,
    }
}

fn with_key() -> SecretStore {
    let mut store = SecretStore::default();
    store
        .define(definition("k", KEY, SecretFormat::Base64))
        .unwrap();
    store
}

fn encrypted(content: &str, iv: Option<&str>) -> Result<Vec<u8>> {
    let mut store = with_key();
    store.define(SecretDefinition {
        key_id: Some("k".to_owned()),
        iv: iv.map(str::to_owned),
        ..definition("s", content, SecretFormat::Base64)
    })?;
    Ok(store.lookup("s")?.bytes().to_vec())
}

fn refusal(result: Result<impl Sized>) -> String {
    match result {
        Ok(_) => panic!("it should have been refused"),
        Err(error) => error.to_string(),
    }
}

/// Lengths that `qemu-io --object …,iv=TEXT` names in "IV should be 16 bytes in length not N".
#[test]
fn base64_is_as_lax_as_the_real_tools() {
    let lengths = [
        ("cH=c", 2),
        ("=Hc=", 2),
        ("c===", 1),
        ("====", 1),
        ("AA=A=A==", 3),
        ("AAAA=", 3),
        ("AAAA\nAAAA", 6),
        ("AAA", 0),
        ("AAAAAA", 3),
        ("", 0),
        ("AAAA====", 4),
    ];
    for (text, length) in lengths {
        assert_eq!(
            decode_base64(text.as_bytes()).unwrap().len(),
            length,
            "{text}"
        );
    }
    for text in ["cHc =", "AA\rAA", "A-_A", "cH*c="] {
        let error = refusal(decode_base64(text.as_bytes()));
        assert_eq!(error, "Base64 data contains invalid characters");
    }
    assert_eq!(decode_base64(b"cHc=").unwrap(), b"pw");
}

/// Ciphertexts made by `openssl enc -aes-256-cbc`; each was accepted or refused by the real tool in these words.
#[test]
fn secrets_under_a_key_are_decrypted() {
    assert_eq!(
        encrypted("FsPAuJFTDI7kctmbzf+hJA==", Some(IV)).unwrap(),
        b"pw"
    );
    // The other padding bytes are zeros, and nobody looks.
    assert_eq!(
        encrypted("PyZAa71L2duPKZJI+j8EGg==", Some(IV)).unwrap(),
        b"pw"
    );
    // No padding at all.
    let whole = encrypted("400aQkzHL92ogLBvHKVmHQ==", Some(IV)).unwrap();
    assert_eq!(whole, b"pw\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(encrypted("", Some(IV)).unwrap(), b"");
    let cases = [
        (
            "GlzUEMFLoDrD9ZK5OJpZGw==",
            Some(IV),
            "Incorrect number of padding bytes (17) found on decrypted data",
        ),
        (
            "AAA=",
            Some(IV),
            "Length 2 must be a multiple of block size 16",
        ),
        ("x*", None, "IV is required to decrypt secret"),
        ("x*", Some("AAAA"), "IV should be 16 bytes in length not 3"),
        ("x*", Some(IV), "Base64 data contains invalid characters"),
    ];
    for (content, iv, words) in cases {
        assert_eq!(refusal(encrypted(content, iv)), words);
    }
}

#[test]
fn keys_are_looked_up_and_measured_before_anything_else() {
    let mut store = with_key();
    let under = |id: &str, key: &str| SecretDefinition {
        key_id: Some(key.to_owned()),
        ..definition(id, "x*", SecretFormat::Base64)
    };
    assert_eq!(
        refusal(store.define(under("s", "no"))),
        "No secret with id 'no'"
    );
    assert_eq!(
        refusal(store.define(under("s", "s"))),
        "Secret with id 's' has no data"
    );
    store
        .define(definition("short", "abc", SecretFormat::Raw))
        .unwrap();
    let words = refusal(store.define(under("s", "short")));
    assert_eq!(words, "Key should be 32 bytes in length");
    assert_eq!(
        refusal(store.define(definition("k", "abc", SecretFormat::Raw))),
        "attempt to add duplicate property 'k' to object (type 'container')"
    );
    assert_eq!(
        refusal("foo".parse::<SecretFormat>()),
        "Parameter 'format' does not accept value 'foo'"
    );
}

#[test]
fn nothing_shows_a_secret() {
    let secret = Secret::new(b"hush".to_vec());
    let shown = format!(
        "{secret:?} {:?}",
        definition("s", "hush", SecretFormat::Raw)
    );
    assert!(!shown.contains("hush"));
    assert!(!shown.contains(&format!("{:?}", b"hush")));
}
