use super::*;

fn words(text: &str) -> String {
    add_object(
        text,
        &mut SecretStore::default(),
        &mut ThrottleGroups::default(),
    )
    .unwrap_err()
    .to_string()
}

// Observed with `qemu-img info --object` 10.0.2.
#[test]
fn mistakes_get_the_real_words() {
    let rows = [
        ("secret", "Parameter 'id' is missing"),
        ("secret,id=s", "Either 'file' or 'data' must be provided"),
        ("secret,data=x", "Parameter 'id' is missing"),
        (
            "foo,id=s",
            "Parameter 'qom-type' does not accept value 'foo'",
        ),
        ("", "Parameter 'qom-type' is missing"),
        (",", "Invalid parameter ''"),
        ("id=s,data=x", "Parameter 'qom-type' is missing"),
        ("secret,id=s,data=x,foo=1", "Parameter 'foo' is unexpected"),
        (
            "secret,id=1s,data=x",
            "Parameter 'id' expects an identifier",
        ),
        (
            "secret,id=s,data=x,file=sec",
            "'file' and 'data' are mutually exclusive",
        ),
        (
            "secret,id=s,file=/nope/x",
            "Unable to read /nope/x: Failed to open file “/nope/x”: No such file or directory",
        ),
        (
            "secret,id=s,file=/",
            "Unable to read /: Error reading file “/”: Is a directory",
        ),
        (
            "secret,id=s,data=x,format=foo",
            "Parameter 'format' does not accept value 'foo'",
        ),
        ("secret,id=s,data=x,keyid=k", "No secret with id 'k'"),
        (
            "secret,id=s,,data=x",
            "Parameter 'id' expects an identifier",
        ),
        ("secret,,id=s", "Invalid parameter ''"),
        ("secret,id=s,data", "Expected '=' after parameter 'data'"),
        ("iothread,id=i", "invalid object type: iothread"),
        ("secret,id=s,data.a=x", "Parameters 'data.*' are unexpected"),
        ("secret,id=s,data=x,a.b=1", "Parameter 'a' is unexpected"),
        (
            "secret,data.x=1,data=a",
            "Parameters 'data.*' used inconsistently",
        ),
        ("secret,id=s,data=x,a b=1", "Invalid parameter 'a b'"),
        ("secret,id=s,data=x,a..b=1", "Invalid parameter 'a..b'"),
        ("{", "JSON parse error, premature EOI"),
        ("{\"id\":\"s\"}", "Parameter 'qom-type' is missing"),
        (
            "{\"qom-type\":\"secret\",\"id\":\"s\",\"data\":5}",
            "Invalid parameter type for 'data', expected: string",
        ),
        (
            " {\"qom-type\":\"secret\",\"id\":\"s\",\"data\":\"x\"}",
            "Invalid parameter '\"id\":\"s\"'",
        ),
    ];
    for (text, expected) in rows {
        assert_eq!(words(text), expected, "{text}");
    }
}

#[test]
fn secrets_are_kept_under_their_ids() {
    let mut store = SecretStore::default();
    assert_eq!(
        add_object(
            "secret,id=a,data=x,,y,data=p,,q",
            &mut store,
            &mut ThrottleGroups::default()
        )
        .unwrap(),
        None
    );
    let json = "{\"qom-type\":\"secret\",\"id\":\"b\",\"data\":\"eHg=\",\"format\":\"base64\"}";
    add_object(json, &mut store, &mut ThrottleGroups::default()).unwrap();
    assert_eq!(store.lookup("a").unwrap().bytes(), b"p,q");
    assert_eq!(store.lookup("b").unwrap().bytes(), b"xx");
    assert_eq!(
        add_object(
            "secret,id=a,data=x",
            &mut store,
            &mut ThrottleGroups::default()
        )
        .unwrap_err()
        .to_string(),
        "attempt to add duplicate property 'a' to object (type 'container')"
    );
    let help = add_object(
        "secret,id=s,help",
        &mut store,
        &mut ThrottleGroups::default(),
    )
    .unwrap()
    .unwrap();
    assert!(help.starts_with("secret options:\n  data=<string>"));
    let list = add_object("help", &mut store, &mut ThrottleGroups::default())
        .unwrap()
        .unwrap();
    assert!(list.ends_with("\n  tls-creds-x509"));
}
