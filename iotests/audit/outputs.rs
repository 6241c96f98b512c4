//! Exit codes, directories, words for people, and repairs that work.

use std::process::Command;

use crate::room::{Room, finding, ids, rooms};

fn small_legacy(room: &Room, name: &str) {
    room.create(
        "qcow2",
        "encrypt.format=aes,encrypt.key-secret=s",
        name,
        "1M",
    );
}

#[test]
fn exit_codes_follow_the_level() {
    let room = rooms().remove(0);
    room.create(
        "luks",
        "key-secret=s,iter-time=0,hash-alg=sha1",
        "a.luks",
        "1M",
    );
    room.img("create", &["-q", "-f", "qcow2", "plain.qcow2", "1M"]);
    let code = |arguments: &[&str]| room.audit(arguments).0;
    assert_eq!(code(&["a.luks"]), 1);
    assert_eq!(code(&["--fail-on=high", "a.luks"]), 0);
    assert_eq!(code(&["plain.qcow2"]), 0);
    assert_eq!(code(&["--fail-on=info", "plain.qcow2"]), 1);
    // One that can't be audited outweighs what was found.
    assert_eq!(code(&["a.luks", "nothing.qcow2"]), 2);
    assert_eq!(code(&[]), 2);
    assert_eq!(code(&["--against", "a.luks", "a.luks", "plain.qcow2"]), 2);
}

#[test]
fn directories_are_walked_and_what_is_no_image_is_passed_over() {
    let room = rooms().remove(0);
    std::fs::create_dir_all(room.path("images/deep")).unwrap();
    small_legacy(&room, "images/b.qcow2");
    small_legacy(&room, "images/deep/a.qcow2");
    room.create("luks", "key-secret=s,iter-time=0", "images/c.luks", "1M");
    std::fs::write(room.path("images/notes.txt"), "no image").unwrap();
    std::os::unix::fs::symlink("/", room.path("images/root")).unwrap();
    let (code, reports) = room.audit(&["images"]);
    let names: Vec<&str> = reports
        .iter()
        .map(|one| one["image"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["images/b.qcow2", "images/c.luks", "images/deep/a.qcow2"]
    );
    assert_eq!(code, 1);
    assert!(reports.iter().all(|one| one["schema"] == 1));
}

#[test]
fn the_text_is_plain_where_there_is_no_terminal() {
    let room = rooms().remove(0);
    small_legacy(&room, "aes.qcow2");
    let image = "driver=qcow2,file.filename=aes.qcow2,encrypt.key-secret=s";
    room.img("snapshot", &["-c", "evil\u{1b}[31m", "--image-opts", image]);
    let output = room.audit_raw(&["aes.qcow2"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!said.contains('\u{1b}'), "{said}");
    assert!(
        said.contains("MEDIUM  Encrypted in the old way: the password is the key  [legacy-aes]")
    );
    assert!(
        said.contains("encryption: legacy-aes, aes-128-cbc-plain64"),
        "{said}"
    );
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn an_image_in_use_is_audited_and_not_changed() {
    let room = rooms().remove(0);
    small_legacy(&room, "aes.qcow2");
    let mut io = Command::new(&room.tools.io)
        .current_dir(room.directory.path())
        .args(["--object", "secret,id=s,data=pw", "--image-opts"])
        .arg("driver=qcow2,file.filename=aes.qcow2,encrypt.key-secret=s")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 1];
    std::io::Read::read_exact(io.stdout.as_mut().unwrap(), &mut first).unwrap();
    let before = room.bytes("aes.qcow2");
    assert_eq!(ids(&room.report(&["aes.qcow2"])), ["legacy-aes"]);
    assert_eq!(room.bytes("aes.qcow2"), before);
    drop(io.stdin.take());
    assert!(io.wait().unwrap().success());
}

#[test]
fn the_repair_command_repairs() {
    for room in rooms() {
        let name = "my disk, old's.qcow2";
        small_legacy(&room, name);
        let escaped = name.replace(',', ",,");
        let image = format!("driver=qcow2,file.filename={escaped},encrypt.key-secret=s");
        room.io(&[], &image, &["write -P 1 0 64k", "write -P 2 512k 4k"]);
        room.img("snapshot", &["-c", "s1", "--image-opts", &image]);
        room.io(&[], &image, &["write -P 3 0 512"]);
        std::fs::write(room.path("OLD-PASSWORD-FILE"), "pw").unwrap();
        std::fs::write(room.path("NEW-PASSWORD-FILE"), "better").unwrap();
        let report = room.report(&[name]);
        let repair = finding(&report, "iv-reuse-snapshots")["repair"]
            .as_str()
            .unwrap();
        let tools = room.tools.img.parent().unwrap().to_owned();
        let path = std::env::join_paths([tools, "/usr/bin".into(), "/bin".into()]).unwrap();
        let output = Command::new("sh")
            .current_dir(room.directory.path())
            .env("PATH", path)
            .args(["-c", repair])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {repair}: {said}", room.name);
        let new = room.report(&["my disk, old's-new.qcow2"]);
        let weak = ids(&new);
        assert!(
            weak.iter().all(|id| *id == "few-iterations"),
            "{}: {weak:?}",
            room.name
        );
        assert_eq!(new["protection"]["encryption"], "luks1");
        let secret = "secret,id=n,file=NEW-PASSWORD-FILE";
        let new = "driver=qcow2,file.filename=my disk,, old's-new.qcow2,encrypt.key-secret=n";
        let checks = [
            "read -P 3 0 512",
            "read -P 1 512 65024",
            "read -P 2 512k 4k",
            "read -P 0 64k 64k",
        ];
        room.io(&["--object", secret], new, &checks);
    }
}

#[test]
fn a_data_file_is_looked_into_when_it_is_named() {
    for room in rooms() {
        let options =
            "encrypt.format=luks,encrypt.iter-time=10,encrypt.key-secret=s,data_file=data";
        room.create("qcow2", options, "meta.qcow2", "1M");
        let image = "driver=qcow2,file.filename=meta.qcow2,encrypt.key-secret=s";
        room.io(&[], image, &["write -P 1 0 128k", "write -P 2 300k 4k"]);
        let unknown = room.report(&["meta.qcow2"]);
        assert!(ids(&unknown).contains(&"data-file-not-examined"));
        let known = room.report(&["--data-file", "data", "meta.qcow2"]);
        assert!(!ids(&known).contains(&"data-file-not-examined"));
        // Two clusters, and the one that 300k lies in.
        assert_eq!(known["stored-clusters"], 3, "{}", room.name);
        // What was never encrypted is seen: the whole file is zeros in front of the first write.
        std::fs::write(room.path("data"), vec![0; 1 << 20]).unwrap();
        let blank = room.report(&["--data-file", "data", "meta.qcow2"]);
        assert!(ids(&blank).contains(&"never-written"));
        let (code, _) = room.audit(&["--data-file", "data", "data"]);
        assert_eq!(code, 2, "a file that has no data file");
    }
}
