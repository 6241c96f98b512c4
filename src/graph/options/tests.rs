use serde_json::json;

use super::*;

fn pairs(tree: &OptionTree) -> Vec<(String, String)> {
    tree.iter()
        .map(|(name, value)| (name.to_owned(), values::text_of(value).unwrap_or_default()))
        .collect()
}

fn parsed(text: &str) -> Vec<(String, String)> {
    pairs(&parse_options(text, None).tree)
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

// Observed with `qemu-io --image-opts` and `qemu-img create -o` 10.0.2.
#[test]
fn texts_become_options() {
    assert_eq!(parsed("a=b,,c,d=on"), owned(&[("a", "b,c"), ("d", "on")]));
    assert_eq!(parsed("a=1,a=2,"), owned(&[("a", "2")]));
    assert_eq!(parsed("a=,b=x=y"), owned(&[("a", ""), ("b", "x=y")]));
    assert_eq!(parsed("=x"), owned(&[("", "x")]));
    assert_eq!(parsed("driver=raw,,x"), owned(&[("driver", "raw,x")]));
    let switches = parse_options("read-only,nolazy", None);
    assert_eq!(
        pairs(&switches.tree),
        owned(&[("read-only", "on"), ("lazy", "off")])
    );
    assert_eq!(
        switches.warnings[1],
        "warning: short-form boolean option 'nolazy' deprecated\nPlease use lazy=off instead"
    );
    assert!(parse_options("size=1,help", None).help);
    assert!(parse_options("?", None).help);
    assert!(!parse_options("help=on", None).help);
    let implied = parse_options("x,,y,a=b", Some("driver"));
    assert_eq!(
        pairs(&implied.tree),
        owned(&[("driver", "x,y"), ("a", "b")])
    );
}

#[test]
fn json_becomes_dotted_names() {
    let tree = OptionTree::from_json(&json!({
        "driver": "raw",
        "file": {"driver": "file", "filename": "r"},
        "file.filename": "q",
        "list": ["a", {"b": 1}],
        "backing": null,
    }));
    assert_eq!(tree.lookup("file.filename"), Some(&json!("r")));
    assert_eq!(tree.lookup("list.0"), Some(&json!("a")));
    assert_eq!(tree.lookup("list.1.b"), Some(&json!(1)));
    assert_eq!(tree.lookup("backing"), Some(&json!(null)));
    let words = |text: &str| OptionTree::from_json_name(text).unwrap_err().to_string();
    assert_eq!(words("[1]"), "Invalid JSON object given");
    assert_eq!(
        words("{"),
        "Could not parse the JSON options: JSON parse error, premature EOI"
    );
}

#[test]
fn values_are_read_by_type() {
    let mut tree = parse_options("a=yes,b=OFF,c=1.5k,d=-1,e=0x10,f=zz", None).tree;
    assert_eq!(tree.take_switch("a").unwrap(), Some(true));
    assert_eq!(
        tree.take_switch("b").unwrap_err().to_string(),
        "Parameter 'b' expects 'on' or 'off'"
    );
    assert_eq!(tree.take_size("c").unwrap(), Some(1536));
    assert_eq!(
        tree.take_size("d").unwrap_err().to_string(),
        "Value '-1' is out of range for parameter 'd'"
    );
    assert_eq!(tree.take_number("e").unwrap(), Some(16));
    assert_eq!(
        tree.take_choice("f", &["on", "off"])
            .unwrap_err()
            .to_string(),
        "invalid parameter value: zz"
    );
    assert_eq!(tree.take_switch("a").unwrap(), None);
    assert!(tree.is_empty());
}
