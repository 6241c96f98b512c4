//! No tool says a secret, whatever goes wrong.

use std::process::Command;

use crate::room::{Room, rooms};

const SECRET: &str = "Xyzzy-0451-open";
/// The same in base64, and a wrong one that begins like it.
const ENCODED: &str = "WHl6enktMDQ1MS1vcGVu";

/// What a program of ours says to arguments, all of it.
fn said(room: &Room, words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_cowproof"))
        .current_dir(room.directory.path())
        .args(words)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Good and bad ways to give the secret.
fn objects() -> Vec<String> {
    let good = format!("secret,id=s,data={SECRET}");
    let json = format!(r#"{{"qom-type": "secret", "id": "s", "data": "{SECRET}"}}"#);
    vec![
        format!("{good}-no"),
        json.replace('}', ""),
        json.replace("\"data\"", "\"dater\""),
        json.replace(SECRET, &format!("{SECRET}\\u0000")),
        json,
        format!("{good},format=base64"),
        format!("{good},keyid=s"),
        format!("{good},keyid=t,iv=AAEC"),
        format!("{good},nonsense=1"),
        format!("{good},file=key"),
        good,
        format!("secret,id=t,data={SECRET}"),
        format!("secret,data={SECRET}"),
        format!("secret,id=s,data={ENCODED},format=base64"),
        format!("secret,id=s,data={ENCODED}!,format=base64"),
        "secret,id=s,file=key".to_owned(),
        "secret,id=s,file=.".to_owned(),
        format!("secret_keyring,id=s,data={SECRET}"),
    ]
}

const IMAGE: &str = "driver=qcow2,file.filename=image,encrypt.key-secret=s";

/// A tool's command, and what stands behind `--object`.
const COMMANDS: [(&str, &[&str]); 8] = [
    ("img info", &["--image-opts", IMAGE]),
    ("img info --output=json", &["--image-opts", IMAGE]),
    ("img check", &["--image-opts", IMAGE]),
    ("img map --output=json", &["--image-opts", IMAGE]),
    (
        "img amend -o encrypt.state=active",
        &["--image-opts", IMAGE],
    ),
    ("img snapshot -c one", &["--image-opts", IMAGE]),
    ("io", &["-c", "read 0 512", "--image-opts", IMAGE]),
    ("iv --key-secret s", &["image"]),
];

#[test]
fn no_tool_says_a_secret() {
    let room = rooms().remove(0);
    std::fs::write(room.path("key"), format!("{SECRET}\n")).unwrap();
    let good = format!("secret,id=s,data={SECRET}");
    let options = "encrypt.format=luks,encrypt.iter-time=10,encrypt.key-secret=s";
    let create = [
        "img", "create", "-f", "qcow2", "--object", &good, "-o", options, "image", "1M",
    ];
    assert!(said(&room, &create).contains("Formatting"));
    let mut answers = 0;
    for object in objects() {
        for (command, rest) in COMMANDS {
            let mut words: Vec<&str> = command.split(' ').collect();
            words.extend(["--object", &object]);
            words.extend(rest);
            let text = said(&room, &words);
            answers += usize::from(!text.is_empty());
            let shown = text.contains(SECRET) || text.contains(ENCODED);
            assert!(!shown, "{words:?}: {text}");
        }
    }
    assert!(answers > 100, "the tools were silent");
    let secret = cowproof::crypto::secret::Secret::new(SECRET.as_bytes().to_vec());
    assert!(!format!("{secret:?}").contains("Xyzzy"));
}
