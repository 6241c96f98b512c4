//! The page with the picture: nothing from elsewhere, and a real browser draws it.

use std::process::Command;

use crate::room::{Room, rooms};

/// A legacy image with two snapshots, one with a name that would end a script.
fn page(room: &Room) -> String {
    room.create(
        "qcow2",
        "encrypt.format=aes,encrypt.key-secret=s",
        "aes.qcow2",
        "4M",
    );
    let image = "driver=qcow2,file.filename=aes.qcow2,encrypt.key-secret=s";
    room.io(&[], image, &["write -P 1 0 1M"]);
    room.img(
        "snapshot",
        &["-c", "</script><b id=broken>", "--image-opts", image],
    );
    room.io(&[], image, &["write -P 2 64k 512", "write -P 2 2M 512k"]);
    room.img("snapshot", &["-c", "second", "--image-opts", image]);
    room.io(&[], image, &["write -P 3 256k 128k", "write -P 3 2M 64k"]);
    let output = room.audit_raw(&["--html", "page.html", "aes.qcow2"]);
    assert_eq!(
        output.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    std::fs::read_to_string(room.path("page.html")).unwrap()
}

#[test]
fn the_page_loads_nothing_from_elsewhere() {
    let room = rooms().remove(0);
    let page = page(&room);
    let addresses = page.matches("://").count();
    assert_eq!(addresses, 1, "only the name of the SVG vocabulary");
    assert!(page.contains("http://www.w3.org/2000/svg"));
    for word in ["src=", "href=", "@import", "url(", "fetch("] {
        assert!(!page.contains(word), "{word}");
    }
    assert_eq!(
        page.matches("</script>").count(),
        1,
        "a name ended the script"
    );
}

#[test]
fn a_browser_draws_the_picture() {
    let Some(browser) = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok())
    else {
        eprintln!("skipped(no chromium)");
        return;
    };
    let room = rooms().remove(0);
    page(&room);
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg("--dump-dom")
        .arg(format!("file://{}", room.path("page.html").display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    assert!(
        dom.contains("data-drawn=\"1\""),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // Rows: active and two snapshots; some of their pieces are lit, with both offsets to hover.
    assert_eq!(dom.matches("text-anchor=\"end\">").count(), 3 + 1);
    // 64k is equal but for its first sector, in all three rows; 256k, 320k and 2M differ from the first block on.
    assert_eq!(dom.matches("class=\"proven\"").count(), 3, "what is lit");
    assert_eq!(dom.matches("class=\"shared\"").count(), 2 * 3 + 2);
    assert!(dom.contains("with equal ciphertext"));
    assert!(dom.contains("at host 0x"));
    assert!(dom.contains("Snapshots show what changed, without the password"));
    assert!(
        !dom.contains("<b id=\"broken\">"),
        "a snapshot's name became markup"
    );
}
