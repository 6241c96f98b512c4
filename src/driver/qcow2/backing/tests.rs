use crate::driver::qcow2::workshop::{Workshop, assert_same_bytes};
use crate::node::{BackingReference, Node};

fn reference(name: &str, format: Option<&str>) -> BackingReference {
    BackingReference {
        name: name.to_owned(),
        format: format.map(str::to_owned),
    }
}

#[test]
fn the_header_becomes_the_one_that_rebase_writes() {
    let Some(shop) = Workshop::new() else { return };
    for options in ["compat=1.1", "compat=0.10", "cluster_size=512"] {
        shop.img_line(&format!(
            "create -q -f qcow2 -u -b base -F raw -o {options} real.qcow2 1M"
        ));
        // An odd size, header padding, unknown compatible bits: a rewrite has an opinion on each.
        shop.patch("real.qcow2", &[(24, &0xf_fe01_u64.to_be_bytes())]);
        if options != "compat=0.10" {
            shop.patch("real.qcow2", &[(105, b"padding"), (87, &[0x10])]);
        }
        shop.copy("real.qcow2", "ours.qcow2");
        for (name, format) in [
            ("other base", Some("qcow2")),
            ("", None),
            ("base", Some("raw")),
        ] {
            let mut arguments = vec!["rebase", "-u", "-b", name];
            if let Some(format) = format {
                arguments.extend(["-F", format]);
            }
            arguments.push("real.qcow2");
            shop.img(&arguments);
            let image = shop.open_writable("ours.qcow2");
            let wanted = (!name.is_empty()).then(|| reference(name, format));
            image.change_backing_reference(wanted.as_ref()).unwrap();
            assert_eq!(image.backing_reference(), wanted);
            image.close().unwrap();
            assert_same_bytes(
                &shop.bytes("ours.qcow2"),
                &shop.bytes("real.qcow2"),
                options,
            );
        }
    }
}

#[test]
fn a_name_without_room_changes_nothing() {
    let Some(shop) = Workshop::new() else { return };
    shop.img_line("create -q -f qcow2 -u -b base -F raw -o cluster_size=512 x.qcow2 1M");
    let before = shop.bytes("x.qcow2");
    let image = shop.open_writable("x.qcow2");
    let attempt = |name: &str, format: &str| {
        image
            .change_backing_reference(Some(&reference(name, Some(format))))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(attempt(&"x".repeat(400), "raw"), "No space left on device");
    assert_eq!(attempt(&"x".repeat(1024), "raw"), "Invalid argument");
    assert_eq!(attempt("x", "0123456789abcdef"), "Invalid argument");
    assert_eq!(
        image.backing_reference(),
        Some(reference("base", Some("raw")))
    );
    image.close().unwrap();
    assert_same_bytes(&shop.bytes("x.qcow2"), &before, "a refused change");
}
