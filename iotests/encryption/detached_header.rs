//! A LUKS header in a file of its own. The real `qemu-img` can't make one, whatever its help says; the real storage
//! daemon can.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::{OBJECT, Scene};

const VOLUME: &str = "driver=luks,file.filename=payload,header.filename=header,key-secret=s";

/// `blockdev-create` with `header`; false, loudly, where there is no daemon.
fn made_by_the_daemon(scene: &Scene, size: u64) -> bool {
    for name in ["header", "payload"] {
        std::fs::write(scene.path(name), "").unwrap();
    }
    let daemon = Command::new("qemu-storage-daemon")
        .args(["--object", OBJECT])
        .args(["--chardev", "stdio,id=c", "--monitor", "chardev=c"])
        .current_dir(scene.directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut daemon) = daemon else {
        eprintln!("skipped(no qemu-storage-daemon)");
        return false;
    };
    let mut orders = daemon.stdin.take().unwrap();
    let mut order = |name: &str, arguments: Value| {
        writeln!(
            orders,
            "{}",
            json!({"execute": name, "arguments": arguments})
        )
        .unwrap();
    };
    order("qmp_capabilities", json!({}));
    for name in ["header", "payload"] {
        let node = json!({"driver": "file", "filename": name, "node-name": name});
        order("blockdev-add", node);
    }
    let options = json!({"driver": "luks", "header": "header", "file": "payload", "size": size,
        "key-secret": "s", "iter-time": 10});
    order(
        "blockdev-create",
        json!({"job-id": "j", "options": options}),
    );
    let mut said = BufReader::new(daemon.stdout.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("\"concluded\"")));
    order("query-jobs", json!({}));
    let jobs = said.find(|line| line.as_ref().unwrap().contains("\"create\""));
    let jobs = jobs.unwrap().unwrap();
    assert!(!jobs.contains("\"error\""), "{jobs}");
    order("job-dismiss", json!({"id": "j"}));
    order("quit", json!({}));
    assert!(daemon.wait().unwrap().success());
    true
}

/// What `info` says, without what is different each time.
fn facts(scene: &Scene, program: &Path) -> Value {
    let arguments = ["info", "--output=json", "--image-opts", VOLUME];
    let mut all = arguments.to_vec();
    all.extend(["--object", OBJECT]);
    let (code, said) = scene.run(program, &all);
    assert_eq!(code, Some(0), "{said}");
    let mut value: Value = serde_json::from_str(&said).unwrap();
    let data = &mut value["format-specific"]["data"];
    assert_eq!(data["detached-header"], true);
    data["uuid"] = Value::Null;
    data["master-key-iters"] = Value::Null;
    data["slots"][0]["iters"] = Value::Null;
    value["actual-size"] = Value::Null;
    value["children"] = Value::Null;
    value
}

#[test]
fn the_daemon_s_are_opened_and_ours_are_opened_by_the_real_tools() {
    let Some(scene) = Scene::new() else { return };
    let mut seen = Vec::new();
    if made_by_the_daemon(&scene, 1 << 20) {
        seen.push(both_ways(&scene));
    }
    for name in ["header", "payload"] {
        let _ = std::fs::remove_file(scene.path(name));
    }
    let (code, said) = scene.create(&[
        "-f",
        "luks",
        "-o",
        "key-secret=s,iter-time=10",
        "--detached-header",
        "header",
        "payload",
        "1M",
    ]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    seen.push(both_ways(&scene));
    assert_eq!(seen.first(), seen.last());
}

/// Both tools read what the other one wrote, and nothing else is in the files; gives what both say of it.
fn both_ways(scene: &Scene) -> (Value, u64) {
    let (ours, real) = (&scene.ours, &scene.real);
    assert!(scene.io(ours, VOLUME, &["write -P 0x5a 3k 600k"]));
    assert!(scene.io(
        real,
        VOLUME,
        &["read -P 0x5a 3k 600k", "write -P 0x31 700k 100k"]
    ));
    assert!(scene.io(
        ours,
        VOLUME,
        &["read -P 0x5a 3k 600k", "read -P 0x31 700k 100k"]
    ));
    // The control: a wrong pattern would be seen.
    assert!(!scene.io(real, VOLUME, &["read -P 0x32 700k 100k"]));
    let payload = std::fs::read(scene.path("payload")).unwrap();
    assert_eq!(payload.len(), 1 << 20);
    assert!(!payload.windows(16).any(|bytes| bytes == [0x5a; 16]));
    let facts = [&ours.img, &real.img].map(|program| facts(scene, program));
    assert_eq!(facts[0], facts[1]);
    let [facts, _] = facts;
    (
        facts,
        std::fs::metadata(scene.path("header")).unwrap().len(),
    )
}

#[test]
fn what_can_not_be_leaves_nothing_behind() {
    let Some(scene) = Scene::new() else { return };
    let luks = ["-f", "luks", "-o", "key-secret=s,iter-time=10"];
    let apart = ["--detached-header", "header", "payload"];
    let cases: [(&[&[&str]], &str); 4] = [
        (
            &[&["-f", "qcow2"], &apart, &["1M"]],
            "payload: Format 'qcow2' has no detached header\n",
        ),
        (
            &[&luks, &["--detached-header", "payload", "payload", "1M"]],
            "payload: The header needs a file of its own\n",
        ),
        (
            &[&luks, &apart, &["9223372036854775807"]],
            "payload: The requested file size is too large\n",
        ),
        (
            &[
                &luks,
                &["--detached-header", "nowhere/header", "payload", "1M"],
            ],
            "payload: Could not create 'nowhere/header': No such file or directory\n",
        ),
    ];
    for (arguments, expected) in cases {
        let (code, said) = scene.create(&arguments.concat());
        assert_eq!(
            (code, said),
            (Some(1), format!("cowproof img: {expected}")),
            "{arguments:?}"
        );
        assert!(!scene.path("header").exists() && !scene.path("payload").exists());
    }
    // The drop-in knows it as little as the real tool.
    let mut all = vec!["create", "-q", "--object", OBJECT];
    all.extend(luks);
    all.extend(apart);
    all.push("1M");
    let [ours, real] = [&scene.ours.img, &scene.real.img].map(|program| {
        let (code, said) = scene.run(program, &all);
        (code, said.replace(&program.display().to_string(), "TOOL"))
    });
    assert_eq!(ours, real);
    assert_eq!(ours.0, Some(1));
}
