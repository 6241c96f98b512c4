//! Preallocated space of encrypted images: garbage from both tools, zeros when `cowproof img` is asked for them.

use std::path::Path;

use crate::{OBJECT, Scene};

struct Case {
    format: &'static str,
    options: &'static str,
    /// Before `key-secret`.
    prefix: &'static str,
    /// The header lies in a file of its own.
    detached: bool,
}

const fn case(format: &'static str, options: &'static str) -> Case {
    let prefix = if format.len() == 4 { "" } else { "encrypt." };
    Case {
        format,
        options,
        prefix,
        detached: false,
    }
}

impl Case {
    /// Subclusters are preallocated as "reads as zeros".
    fn reads_as_garbage(&self) -> bool {
        !self.options.contains("extended_l2")
    }
}

const CASES: [Case; 9] = [
    case("luks", "iter-time=10"),
    case("luks", "iter-time=10,preallocation=falloc"),
    case("luks", "iter-time=10,preallocation=full"),
    case(
        "qcow2",
        "encrypt.format=luks,encrypt.iter-time=10,preallocation=metadata",
    ),
    case(
        "qcow2",
        "encrypt.format=luks,encrypt.iter-time=10,preallocation=falloc",
    ),
    case(
        "qcow2",
        "encrypt.format=luks,encrypt.iter-time=10,preallocation=full,cluster_size=4k",
    ),
    case("qcow2", "encrypt.format=aes,preallocation=metadata"),
    case(
        "qcow2",
        "encrypt.format=luks,encrypt.iter-time=10,preallocation=full,extended_l2=on,cluster_size=16k",
    ),
    Case {
        format: "luks",
        options: "iter-time=10",
        prefix: "",
        detached: true,
    },
];

/// The image as `--image-opts`, freshly made.
fn made(scene: &Scene, case: &Case, own: &[&str]) -> String {
    let key = format!("{}key-secret=s", case.prefix);
    let options = format!("{key},{}", case.options);
    let mut arguments = vec!["-f", case.format, "-o", &options, "image", "3M"];
    let mut image = format!("driver={},file.filename=image,{key}", case.format);
    if case.detached {
        arguments.extend(["--detached-header", "header"]);
        image += ",header.filename=header";
    }
    arguments.extend(own);
    let (code, said) = scene.create(&arguments);
    assert_eq!((code, said.as_str()), (Some(0), ""), "{arguments:?}");
    image
}

/// What `audit` finds.
fn findings(scene: &Scene, case: &Case) -> Vec<String> {
    let mut arguments = vec!["audit", "--full", "--output=json"];
    if case.detached {
        arguments.extend(["--data-file", "image", "header"]);
    } else {
        arguments.push("image");
    }
    let (_, said) = scene.run(Path::new(env!("CARGO_BIN_EXE_cowproof")), &arguments);
    let report: serde_json::Value = serde_json::from_str(&said).expect(&said);
    assert!(report.get("error").is_none(), "{said}");
    let findings = report["findings"].as_array().expect(&said);
    findings
        .iter()
        .map(|finding| finding["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_real_tool_reads_zeros_and_the_audit_finds_no_plaintext() {
    let Some(scene) = Scene::new() else { return };
    for case in CASES {
        let name = format!("{} {} {}", case.format, case.options, case.detached);
        let image = made(&scene, &case, &[]);
        assert_eq!(
            scene.io(&scene.real, &image, &["read -P 0 0 3M"]),
            !case.reads_as_garbage(),
            "{name}"
        );
        let found = findings(&scene, &case);
        // A payload of its own is a file that grew from nothing: its first block is written, as by the real tools.
        let zeros =
            case.reads_as_garbage() && (case.options.contains("preallocation") || case.detached);
        assert_eq!(
            found.iter().any(|id| id == "never-written"),
            zeros,
            "{name}: {found:?}"
        );

        let image = made(&scene, &case, &["--encrypted-zeros"]);
        for tools in [&scene.real, &scene.ours] {
            assert!(scene.io(tools, &image, &["read -P 0 0 3M"]), "{name}");
        }
        let found = findings(&scene, &case);
        for plain in ["never-written", "plaintext-compressed", "stale-clusters"] {
            assert!(!found.iter().any(|id| id == plain), "{name}: {found:?}");
        }
        if case.format == "qcow2" {
            let arguments = ["check", "--object", OBJECT, "--image-opts", &image];
            let (code, said) = scene.run(&scene.real.img, &arguments);
            assert_eq!(code, Some(0), "{name}: {said}");
        }
    }
}

#[test]
fn what_is_not_encrypted_has_no_encrypted_zeros() {
    let Some(scene) = Scene::new() else { return };
    for format in ["raw", "qcow2", "qcow"] {
        let (code, said) = scene.create(&["-f", format, "--encrypted-zeros", "image", "1M"]);
        let expected = "cowproof img: image: Encrypted zeros need an encrypted image\n";
        assert_eq!((code, said.as_str()), (Some(1), expected));
        assert!(!scene.path("image").exists());
    }
    // Nothing is stored, nothing is written.
    let options = "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10";
    let arguments = ["-f", "qcow2", "-o", options, "--encrypted-zeros"];
    let (code, said) = scene.create(&[&arguments[..], &["image", "1G"]].concat());
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert!(std::fs::metadata(scene.path("image")).unwrap().len() < 4 << 20);
}
